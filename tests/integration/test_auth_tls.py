# SPDX-License-Identifier: Apache-2.0
"""Certificates, credentials, mirrors and proxies, with docker-registry at the other end."""

import base64
import json
import os
import shutil
import unittest

import sluice_case
from sluice_case import EXIT_FAILED, EXIT_NETWORK, EXIT_POLICY, SluiceCase

import make_image
import registry as registries
from counting_proxy import CountingProxy
from push_proxy import PushProxy

USER, PASSWORD = "user", "pass word:with colon"
NOT_AUTHORIZED = "Not authorized"


class MutualRegistry(registries.Registry):
    """Wants a certificate from its clients."""

    def _config(self):
        config = super()._config()
        config["http"]["tls"]["clientcas"] = [self.ca]
        return config

    def make_client(self, folder):
        """client.cert and client.key, signed by the registry's authority, and its ca.crt."""
        key, request = os.path.join(folder, "client.key"), self.path("client.csr")
        registries.run("openssl", "req", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=client",
                       "-keyout", key, "-out", request)
        registries.run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey",
                       self.path("ca.key"), "-CAcreateserial", "-days", 2,
                       "-out", os.path.join(folder, "client.cert"))
        shutil.copy(self.ca, os.path.join(folder, "ca.crt"))

    def _answers(self):
        # The client of the base class has no certificate: that it is refused one is an answer.
        try:
            return super()._answers()
        except registries.ssl.SSLError:
            return True

    def cert_dir(self):
        folder = self.path("certs")
        if not os.path.isdir(folder):
            os.makedirs(folder)
            self.make_client(folder)
        return folder


class Case(SluiceCase):
    """A registry for each class, which holds app:1."""

    make_registry = registries.Registry

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = cls.make_registry()
        cls.registry.__enter__()
        cls.addClassCleanup(cls.registry.__exit__)
        layout = os.path.join(cls.shared, "layout")
        cls.image = make_image.add_image(layout, [make_image.layer({"a": "1"})])
        cls.digest = make_image.tagged(layout)[0]["digest"]
        cls.registry.push(cls.image, "team/app:1")
        cls.ref = cls.registry.ref("team/app:1")

    def pulls(self, *args, **kwargs):
        printed = self.pull("--quiet", *args, self.ref, **kwargs)
        self.assertEqual(printed.strip(), self.digest)

    def fails(self, *args, says=NOT_AUTHORIZED, code=EXIT_NETWORK, **kwargs):
        message = self.pull_fails(code, *args, self.ref, says=says, **kwargs)
        self.assertEqual(self.in_store("layers/sha256"), [])
        return message


class Tls(Case):
    make_registry = staticmethod(lambda: registries.Registry(tls=True))

    def test_unknown_authority_is_refused(self):
        self.fails(says="certificate")

    def test_cert_dir_names_the_authority(self):
        self.pulls("--cert-dir", self.registry.cert_dir())

    def test_cert_dir_with_another_authority_is_refused(self):
        os.mkdir(self.path("authority"))
        os.mkdir(self.path("certs"))
        other = registries.Authority(self.path("authority"))
        shutil.copy(other.ca, self.path("certs"))
        self.fails("--cert-dir", self.path("certs"), says="certificate")

    def test_empty_cert_dir_is_refused(self):
        self.fails("--cert-dir", self.path("home"), says="certificate")

    def test_tls_verify_false_takes_any_certificate(self):
        self.pulls("--tls-verify=false")

    def test_tls_verify_true_outranks_an_insecure_registry(self):
        conf = self.write("registries.conf",
                          f'[[registry]]\nlocation = "{self.registry.host}"\ninsecure = true\n')
        self.pulls("--registries-conf", conf)
        self.root = self.path("other-store")
        self.fails("--registries-conf", conf, "--tls-verify=true", says="certificate")

    def test_certificate_is_for_the_host_that_was_asked(self):
        with CountingProxy(self.registry.host) as proxy:
            run = self.sluice("pull", "--insecure-policy", "--cert-dir", self.registry.cert_dir(),
                              "docker://registry.example/team/app:1",
                              env=self.environment(https_proxy=proxy.url))
        self.refused(EXIT_NETWORK, "certificate", "registry.example", run=run)

    def test_https_proxy_tunnels(self):
        with CountingProxy() as proxy:
            self.pulls("--cert-dir", self.registry.cert_dir(),
                       env=self.environment(https_proxy=proxy.url))
            self.assertIn(("CONNECT", self.registry.host, 200), proxy.requests)


class CertsD(Case):
    """/etc/containers/certs.d of a private mount namespace."""

    make_registry = staticmethod(lambda: registries.Registry(tls=True))

    def test_certs_d_of_the_host_is_read(self):
        os.makedirs("/etc/containers/certs.d", exist_ok=True)
        sluice_case.mount_tmpfs("/etc/containers/certs.d")
        self.addCleanup(registries.run, "umount", "/etc/containers/certs.d")
        self.fails(says="certificate")
        folder = os.path.join("/etc/containers/certs.d", self.registry.host)
        os.mkdir(folder)
        shutil.copy(self.registry.ca, folder)
        self.pulls()


class ClientCertificates(Case):
    make_registry = staticmethod(lambda: MutualRegistry(tls=True))

    def test_client_certificate_opens_the_registry(self):
        self.pulls("--cert-dir", self.registry.cert_dir())

    def test_without_a_client_certificate_the_registry_refuses(self):
        folder = self.path("only-ca")
        os.mkdir(folder)
        shutil.copy(self.registry.ca, os.path.join(folder, "ca.crt"))
        run = self.sluice("pull", "--insecure-policy", "--retry", 1, "--cert-dir", folder, self.ref)
        # By TLS 1.3 the client has finished before the server looks: where the answer crosses our
        # request, its reset may come before its alert is read.
        said = self.refused(EXIT_NETWORK, run=run)
        self.assertIn("certificate", said)

    def test_certificate_without_its_key_is_told(self):
        folder = self.path("no-key")
        shutil.copytree(self.registry.cert_dir(), folder)
        os.remove(os.path.join(folder, "client.key"))
        run = self.sluice("pull", "--insecure-policy", "--cert-dir", folder, self.ref)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("client", run.stderr)


class Password(Case):
    make_registry = staticmethod(lambda: registries.Registry(htpasswd=(USER, PASSWORD)))

    def login(self, password=PASSWORD):
        """An auth file as skopeo writes it."""
        path = self.path("auth.json")
        registries.run("skopeo", "login", "--tls-verify=false", "--authfile", path,
                       "--username", USER, "--password", password, self.registry.host)
        return path

    def test_no_credentials(self):
        self.fails("--tls-verify=false")

    def test_creds(self):
        self.pulls("--tls-verify=false", "--creds", f"{USER}:{PASSWORD}")

    def test_wrong_password_is_not_authorized(self):
        message = self.fails("--tls-verify=false", "--creds", f"{USER}:wrong-secret")
        self.assertNotIn("wrong-secret", message)

    def test_wrong_password_as_json(self):
        run = self.sluice("pull", "--json", "--insecure-policy", "--tls-verify=false",
                          "--creds", f"{USER}:wrong", self.ref)
        self.assertEqual(run.returncode, EXIT_NETWORK)
        self.assertEqual(json.loads(run.stderr)["code"], "auth")

    def test_creds_without_a_colon_are_told(self):
        run = self.sluice("pull", "--insecure-policy", "--tls-verify=false", "--creds", "nocolon",
                          self.ref)
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    def test_authfile_of_skopeo_login(self):
        self.pulls("--tls-verify=false", "--authfile", self.login())

    def broker(self, **resources):
        """Options for a broker with these files, named default/NAME/test."""
        encoded = {f"default/{name}/test": base64.b64encode(text.encode()).decode()
                   for name, text in resources.items()}
        return ("--kbc", "offline_fs_kbc::null",
                "--offline-resources", self.write("resources.json", json.dumps(encoded)))

    def test_authfile_and_rules_from_a_broker(self):
        with open(self.login(), encoding="utf-8") as file:
            auth = file.read()
        rules = f'[[registry]]\nlocation = "{self.registry.host}"\ninsecure = true\n'
        options = self.broker(credential=auth, rules=rules)
        self.fails(*options, "--authfile", "kbs:///default/other/test",
                   "--registries-conf", "kbs:///default/rules/test", says="default/other/test")
        self.pulls(*options, "--authfile", "kbs:///default/credential/test",
                   "--registries-conf", "kbs:///default/rules/test")
        self.pulls("--tls-verify=false", "--authfile", "file://" + self.login())

    def test_authfile_from_nobody_is_told(self):
        self.fails("--tls-verify=false", "--authfile", "kbs:///default/credential/test",
                   says="name one with --kbc")

    def test_authfile_from_the_environment(self):
        self.pulls("--tls-verify=false", env=self.environment(REGISTRY_AUTH_FILE=self.login()))

    def test_docker_config_in_home(self):
        text = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        os.mkdir(self.path("home", ".docker"))
        self.write("home/.docker/config.json",
                   json.dumps({"auths": {self.registry.host: {"auth": text}}}))
        self.pulls("--tls-verify=false")

    def test_creds_outrank_the_authfile(self):
        self.fails("--tls-verify=false", "--authfile", self.login(), "--creds", f"{USER}:wrong")

    def test_authfile_of_another_registry_does_not_help(self):
        text = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        path = self.write("auth.json",
                          json.dumps({"auths": {"registry.example": {"auth": text}}}))
        self.fails("--tls-verify=false", "--authfile", path)

    def test_authfile_that_is_not_there_is_told(self):
        run = self.sluice("pull", "--insecure-policy", "--tls-verify=false", "--authfile",
                          self.path("missing.json"), self.ref)
        self.refused(EXIT_FAILED, "missing.json", run=run)

    def test_authfile_that_is_not_json_is_told(self):
        run = self.sluice("pull", "--insecure-policy", "--tls-verify=false", "--authfile",
                          self.write("bad.json", "{"), self.ref)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("bad.json", run.stderr)

    def test_cached_image_still_needs_the_password(self):
        self.pulls("--tls-verify=false", "--creds", f"{USER}:{PASSWORD}")
        run = self.sluice("pull", "--insecure-policy", "--tls-verify=false", self.ref)
        self.refused(EXIT_NETWORK, NOT_AUTHORIZED, run=run)

    def test_password_does_not_appear_in_the_debug_log(self):
        run = self.sluice("pull", "--debug", "--insecure-policy", "--tls-verify=false",
                          "--creds", f"{USER}:{PASSWORD}", self.ref)
        self.good(run)
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        for text in (PASSWORD, secret):
            self.assertNotIn(text, run.stderr)


class BracketedRegistry(registries.Registry):
    """At ::1. Older skopeos take no such name, and are led there by another."""

    def __init__(self):
        super().__init__(htpasswd=(USER, PASSWORD), address="[::1]")

    def push(self, source, name):
        bracketed = self.host
        with PushProxy(bracketed) as proxy:
            self.host = proxy.host
            try:
                return super().push(source, name)
            finally:
                self.host = bracketed


@unittest.skipUnless(os.path.exists("/proc/net/if_inet6"), "no IPv6")
class BracketedHost(Password):
    """Whatever Password tests, and what else looks hosts up by their names."""

    make_registry = BracketedRegistry

    def login(self, password=PASSWORD):
        return self.registry.write_authfile()

    def test_rules_and_policies_name_it(self):
        conf = self.write("registries.conf",
                          f'[[registry]]\nlocation = "{self.registry.host}"\ninsecure = true\n')
        accept = [{"type": "insecureAcceptAnything"}]
        for scope, status in (f"{self.registry.host}/team", 0), ("[::1]:1/team", EXIT_POLICY):
            policy = self.write("policy.json", json.dumps(
                {"default": [{"type": "reject"}], "transports": {"docker": {scope: accept}}}))
            run = self.sluice("pull", "--policy", policy, "--registries-conf", conf,
                              "--authfile", self.login(), self.ref)
            self.assertEqual(run.returncode, status, run.stderr)


class Token(Case):
    make_registry = staticmethod(lambda: registries.Registry(token=(USER, "secret")))

    def test_token_server_is_asked_with_the_password(self):
        self.registry.tokens.requests.clear()
        self.pulls("--tls-verify=false", "--creds", f"{USER}:secret")
        scopes = [q["scope"] for _, q in self.registry.tokens.requests]
        self.assertEqual(scopes, [["repository:team/app:pull"]])

    def test_authfile_of_skopeo_login(self):
        path = self.path("auth.json")
        registries.run("skopeo", "login", "--tls-verify=false", "--authfile", path,
                       "--username", USER, "--password", "secret", self.registry.host)
        self.pulls("--tls-verify=false", "--authfile", path)

    def test_wrong_password(self):
        self.fails("--tls-verify=false", "--creds", f"{USER}:wrong")

    def test_anonymous_token_is_not_enough(self):
        self.fails("--tls-verify=false")


class Rules(Case):
    """registries.conf: the registry is also the mirror, behind a counting proxy."""

    def setUp(self):
        super().setUp()
        self.mirror = CountingProxy(self.registry.host)
        self.primary = CountingProxy(self.registry.host)
        for proxy in (self.mirror, self.primary):
            proxy.__enter__()
            self.addCleanup(proxy.__exit__)

    def pull_by(self, conf, ref, *args, **kwargs):
        path = self.write("registries.conf", conf)
        return self.pull("--quiet", "--registries-conf", path, *args, ref, **kwargs).strip()

    def mirrored(self, mirror):
        return f"""
[[registry]]
prefix = "registry.example/team"
location = "{self.primary.host}/team"
insecure = true
[[registry.mirror]]
location = "{mirror}"
insecure = true
"""

    def test_mirror_is_asked_first_and_the_name_stays(self):
        conf = self.mirrored(self.mirror.host + "/team")
        self.assertEqual(self.pull_by(conf, "registry.example/team/app:1"), self.digest)
        self.assertEqual(self.primary.requests, [])
        self.assertTrue(self.mirror.gets("/v2/team/app/manifests/1"))
        (image,) = json.loads(self.ok("images", "--json"))["images"]
        self.assertEqual(image["name"], "registry.example/team/app:1")

    def test_mirror_without_the_image_falls_back_to_the_primary(self):
        conf = self.mirrored(self.mirror.host + "/nothing")
        self.assertEqual(self.pull_by(conf, "registry.example/team/app:1"), self.digest)
        self.assertTrue(self.mirror.gets("/v2/nothing/app/manifests/1"))
        self.assertTrue(self.primary.gets("/v2/team/app/manifests/1"))

    def test_mirror_that_is_down_falls_back_to_the_primary(self):
        with CountingProxy(self.registry.host) as gone:
            host = gone.host
        self.assertEqual(self.pull_by(self.mirrored(host), "registry.example/team/app:1",
                                      "--retry", 1), self.digest)
        self.assertTrue(self.primary.gets("/v2/team/app/manifests/1"))

    def test_location_rewrites_a_prefix(self):
        conf = f"""
[[registry]]
prefix = "quay.example/old"
location = "{self.primary.host}/team"
insecure = true
"""
        self.assertEqual(self.pull_by(conf, "docker://quay.example/old/app:1"), self.digest)
        self.assertTrue(self.primary.gets("/v2/team/app/manifests/1"))

    def test_blocked_registry_is_refused(self):
        conf = f"""
[[registry]]
location = "{self.primary.host}"
insecure = true
[[registry]]
location = "{self.primary.host}/team"
blocked = true
"""
        run = self.sluice("pull", "--insecure-policy", "--registries-conf",
                          self.write("registries.conf", conf),
                          f"docker://{self.primary.host}/team/app:1")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("is blocked by registry rule", run.stderr)
        self.assertEqual(self.primary.requests, [])

    def test_neighbour_of_a_blocked_name_is_allowed(self):
        conf = f"""
[[registry]]
location = "{self.primary.host}"
insecure = true
[[registry]]
location = "{self.primary.host}/tea"
blocked = true
"""
        self.assertEqual(self.pull_by(conf, f"docker://{self.primary.host}/team/app:1"),
                         self.digest)

    def test_wildcard_prefix_covers_subdomains(self):
        conf = f"""
[[registry]]
prefix = "*.example.org"
location = "{self.primary.host}/team"
insecure = true
"""
        self.assertEqual(self.pull_by(conf, "hub.example.org/app:1"), self.digest)

    def test_registries_conf_from_the_environment(self):
        path = self.write("env.conf", self.mirrored(self.mirror.host + "/team"))
        self.pull("--quiet", "registry.example/team/app:1",
                  env=self.environment(CONTAINERS_REGISTRIES_CONF=path))
        self.assertTrue(self.mirror.gets("/manifests/"))

    def test_broken_registries_conf_is_told_with_its_line(self):
        run = self.sluice("inspect", "--registries-conf",
                          self.write("bad.conf", "[[registry]]\nlocation = \n"), self.ref)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("bad.conf", run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)

    # ---- proxies ----

    def test_http_proxy_carries_everything(self):
        with CountingProxy() as proxy:
            self.pulls("--tls-verify=false", env=self.environment(http_proxy=proxy.url))
            self.assertEqual(len(proxy.gets("/blobs/")), 2)
            self.assertTrue(proxy.gets(f"http://{self.registry.host}/v2/team/app/manifests/1"))

    def test_no_proxy_goes_around_it(self):
        with CountingProxy() as proxy:
            for value in ("127.0.0.1", "*", "example.org,127.0.0.1"):
                with self.subTest(no_proxy=value):
                    self.root = self.path("store" + str(len(value)))
                    self.pulls("--tls-verify=false", env=self.environment(
                        http_proxy=proxy.url, no_proxy=value))
            self.assertEqual(proxy.requests, [])

    # ---- plain HTTP ----

    def test_plain_http_needs_tls_verify_false(self):
        """Told at once, with what to do: waiting would not teach the server TLS."""
        self.fails(says=[self.registry.host, "--tls-verify=false"])

    def test_registry_that_is_down_is_told(self):
        with CountingProxy(self.registry.host) as gone:
            host = gone.host
        run = self.sluice("inspect", "--retry", 1, "--tls-verify=false",
                          f"docker://{host}/team/app:1")
        self.refused(EXIT_NETWORK, host, run=run)


if __name__ == "__main__":
    sluice_case.main("docker-registry", "skopeo", "openssl", "htpasswd")
