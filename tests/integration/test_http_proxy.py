# SPDX-License-Identifier: Apache-2.0
"""Proxies from the environment, http_proxy, https_proxy and no_proxy, and from the options."""
import unittest

from http_case import HttpCase, make_ca
from counting_proxy import CountingProxy


class Proxies(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_ca(cls.folder)

    def start_proxy(self, upstream=None, credentials=None):
        self.proxy = CountingProxy(upstream, credentials)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        return self.proxy.url

    def connects(self):
        return {(method, host) for method, host, _ in self.proxy.requests}

    def serve_tls(self):
        self.serve(options=("--cert", self.folder + "/server.crt",
                            "--key", self.folder + "/server.pem"))
        return ("--cert-dir", self.folder)

    def check(self, env, options, host=None):
        self.expect_manifest(self.drive("manifest", options=options, env=env, host=host))
        layers = self.layers[:2]
        self.expect_blobs(self.drive(*self.blob_args(*layers), options=options, env=env, host=host),
                          *layers)

    def test_http_proxy_is_asked_for_every_url(self):
        self.serve()
        # Only the proxy knows this name.
        host = "registry.example:%d" % self.port
        url = self.start_proxy("127.0.0.1:%d" % self.port)
        self.check({"http_proxy": url, "https_proxy": url}, ("--insecure",), host)
        self.assertEqual(self.proxy.gets("/manifests/"),
                         ["http://%s/v2/some/image/manifests/latest" % host] * 2)
        self.assertEqual(len(self.proxy.gets("/blobs/")), 2)

    def test_https_proxy_gets_a_connect(self):
        options = self.serve_tls()
        host = "localhost:%d" % self.port
        self.check({"https_proxy": self.start_proxy()}, options, host)
        self.assertEqual(self.connects(), {("CONNECT", host)})

    def test_upper_case_https_proxy_counts_too(self):
        options = self.serve_tls()
        self.check({"HTTPS_PROXY": self.start_proxy()}, options)
        self.assertEqual(self.connects(), {("CONNECT", "127.0.0.1:%d" % self.port)})

    def test_credentials_in_the_url_are_shown_to_the_proxy_alone(self):
        url = self.start_proxy(credentials="me:p@ss").replace("//", "//me:p%40ss@")
        options = self.serve_tls()
        self.check({"https_proxy": url}, options)
        self.serve()
        self.check({"http_proxy": url}, ("--insecure",))
        self.assertEqual({r["authorization"] for r in self.requests()}, {None})
        self.assertEqual({method for method, _, _ in self.proxy.requests}, {"CONNECT", "GET"})

    def test_proxy_that_refuses_is_named_and_no_password_is(self):
        url = self.start_proxy(credentials="me:right").replace("//", "//me:wr0ng@")
        options = self.serve_tls()
        for env, option in (({"https_proxy": url}, options), ({"http_proxy": url}, ("--insecure",))):
            if "http_proxy" in env:
                self.serve()
            run = self.drive("manifest", options=(*option, "--attempts", "1"), env=env)
            self.expect_failure(run, "network", "proxy", "407")
            self.assertNotIn(b"wr0ng", run.stderr)
        self.assertEqual({status for _, _, status in self.proxy.requests}, {407})

    def test_dead_proxy_is_a_network_error(self):
        options = self.serve_tls()
        run = self.drive("manifest", options=(*options, "--attempts", "1"),
                         env={"https_proxy": "http://127.0.0.1:1"})
        self.expect_failure(run, "network")
        self.assertEqual(self.requests(), [])

    def test_no_proxy_goes_straight(self):
        self.serve()
        url = self.start_proxy()
        for exempt in "127.0.0.1", "registry.example,127.0.0.0/8", "*":
            with self.subTest(exempt):
                self.check({"http_proxy": url, "https_proxy": url, "no_proxy": exempt},
                           ("--insecure",))
                self.assertEqual(self.proxy.requests, [])
        self.check({"http_proxy": url, "no_proxy": "10.0.0.0/8,27.0.0.1"}, ("--insecure",))
        self.assertNotEqual(self.proxy.requests, [])

    # --- from the options ---

    def test_options_stand_in_for_the_environment(self):
        self.serve()
        host = "registry.example:%d" % self.port
        url = self.start_proxy("127.0.0.1:%d" % self.port)
        dead = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1",
                "no_proxy": "*"}
        self.check(dead, ("--insecure", "--http-proxy", url, "--https-proxy", url), host)
        self.assertEqual(len(self.proxy.gets("/blobs/")), 2)

    def test_option_for_the_other_scheme_means_no_proxy(self):
        self.serve()
        env = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
        options = self.serve_tls()
        self.check(env, (*options, "--http-proxy", "http://127.0.0.1:1"))

    def test_https_option_gets_a_connect_with_credentials_that_nobody_else_sees(self):
        url = self.start_proxy(credentials="me:p@ss").replace("//", "//me:p%40ss@")
        options = (*self.serve_tls(), "--https-proxy", url)
        host = "localhost:%d" % self.port
        self.check({}, options, host)
        self.assertEqual(self.connects(), {("CONNECT", host)})
        self.assertEqual({r["authorization"] for r in self.requests()}, {None})

    def test_tokens_and_redirects_go_through_the_option_too(self):
        self.serve({"on": "^GET .*/blobs/", "redirect": "http://blobs.example/v2/some/image/blobs/%s"
                    % self.layers[1]["digest"], "times": 1},
                   auth={"scheme": "bearer", "realm": "http://tokens.example/token"})
        url = self.start_proxy("127.0.0.1:%d" % self.port)
        options = ("--insecure", "--http-proxy", url, "--https-proxy", url)
        run = self.drive(*self.blob_args(self.layers[1]), options=options,
                         host="registry.example:%d" % self.port)
        # The blob's other host wants a token as well, and is not shown ours.
        self.expect_failure(run, "auth", "Not authorized")
        self.assertEqual(len(self.proxy.gets("http://tokens.example/token")), 1)
        self.assertEqual(len(self.proxy.gets("http://blobs.example/")), 1)

    def test_exceptions_of_the_options(self):
        self.serve()
        url = self.start_proxy()
        for exempt in "127.0.0.1", "registry.example,127.0.0.0/8", "10.0.0.0/8, 127.0.0.1", "*":
            with self.subTest(exempt):
                self.check({}, ("--insecure", "--http-proxy", url, "--https-proxy", url,
                                "--no-proxy", exempt))
                self.assertEqual(self.proxy.requests, [])
        self.check({"no_proxy": "*"}, ("--insecure", "--http-proxy", url,
                                       "--no-proxy", "10.0.0.0/8,27.0.0.1"))
        self.assertNotEqual(self.proxy.requests, [])

    def test_exceptions_alone_do_nothing(self):
        self.serve()
        url = self.start_proxy()
        self.check({"http_proxy": url}, ("--insecure", "--no-proxy", "127.0.0.1"))
        self.assertNotEqual(self.proxy.requests, [])

    def test_proxy_url_that_makes_no_sense_is_not_quoted(self):
        options = self.serve_tls()
        for url in "gopher://me:wr0ng@127.0.0.1:1", "http://me:wr0ng@127.0.0.1:x":
            run = self.drive("manifest", options=(*options, "--attempts", "1", "--https-proxy", url))
            self.expect_failure(run, "network", "proxy")
            self.assertNotIn(b"wr0ng", run.stderr)


if __name__ == "__main__":
    unittest.main()
