/* SPDX-License-Identifier: Apache-2.0 */
#include "assert_result.h"

#include "scratch_dir.h"
#include "sources.h"
#include "text_edit.h"

/* A certificate that signed itself; EC P-256, CN=t. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBbDCCAROgAwIBAgIUDR1/7h+Zwx8NsxnDow8ZL9iasRQwCgYIKoZIzj0EAwIw\n"
                          "DDEKMAgGA1UEAwwBdDAeFw0yNjExMjIxNDUwNThaFw0zNjExMTkxNDUwNThaMAwx\n"
                          "CjAIBgNVBAMMAXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATJaR8u51io+OIF\n"
                          "fvM2iVrmIsh6YaLx+GnGojd5Kp24rF12Kf3YdEsGwO6Ejc19NmIY9ejof4RxJJaQ\n"
                          "Hk38G1s/o1MwUTAdBgNVHQ4EFgQUE08ZVWUPWzDcWlkJfe32GqMytsMwHwYDVR0j\n"
                          "BBgwFoAUE08ZVWUPWzDcWlkJfe32GqMytsMwDwYDVR0TAQH/BAUwAwEB/zAKBggq\n"
                          "hkjOPQQDAgNHADBEAiBDvn+FhGyqY7bcI8vLnogbo5PoCm8lBesKp9NrKcZJjAIg\n"
                          "DE/Roupk61Q3NjW+ZewGg98wrrO/9yTkJG33gQp/zKU=\n"
                          "-----END CERTIFICATE-----\n";

static const char *the_environment[4]; /* "NAME", "value", …, NULL */

static const char *environment(const char *name)
{
    for (size_t i = 0; the_environment[i]; i += 2)
        if (strcmp(the_environment[i], name) == 0)
            return the_environment[i + 1];
    return NULL;
}

static int reset(void **state)
{
    (void)state;
    memset((void *)the_environment, 0, sizeof(the_environment));
    return 0;
}

/* file NULL: none. */
static int try_load(const char *file, const char *name, const char *cmdline,
                    struct sl_loaded_config **ret, struct sl_error *err)
{
    const struct sl_config_texts texts = {
        .file = file ? sl_span_of(file) : (struct sl_span){0},
        .file_name = name,
        .cmdline = sl_span_of(cmdline),
        .environment = environment,
    };
    return sl_config_load_texts(&texts, ret, err);
}

static struct sl_loaded_config *load(const char *file, const char *name, const char *cmdline)
{
    struct sl_error err = {0};
    struct sl_loaded_config *config = NULL;
    assert_done(try_load(file, name, cmdline, &config, &err));
    return config;
}

static struct sl_loaded_config *load_toml(const char *file)
{
    return load(file, "cdh.toml", "");
}

static void refuse(const char *file, const char *name, const char *cmdline, const char *in_message)
{
    struct sl_error err = {0};
    struct sl_loaded_config *config = NULL;
    int r = try_load(file, name, cmdline, &config, &err);
    if (r >= 0 || !strstr(err.msg, in_message))
        fail_msg("%d, '%s' instead of '%s' for:\n%s\n%s", r, err.msg, in_message, file ? file : "",
                 cmdline);
    assert_null(config);
}

static void expect_text(const char *is, const char *want)
{
    if (want && is)
        assert_string_equal(is, want);
    else if (is != want)
        fail_msg("'%s' instead of '%s'", is ? is : "NULL", want ? want : "NULL");
}

static const struct sl_config_line *line_of(const struct sl_loaded_config *config, const char *key)
{
    for (size_t i = 0; i < config->n_lines; i++)
        if (strcmp(config->lines[i].key, key) == 0)
            return &config->lines[i];
    fail_msg("there is no line %s", key);
    return NULL;
}

static void expect_line(const struct sl_loaded_config *config, const char *key, const char *value,
                        const char *origin)
{
    const struct sl_config_line *line = line_of(config, key);
    if (strcmp(line->value, value) != 0 || strcmp(line->origin, origin) != 0)
        fail_msg("%s: '%s' (%s) instead of '%s' (%s)", key, line->value, line->origin, value,
                 origin);
}

static void expect_no_warning(const struct sl_loaded_config *config)
{
    if (config->warnings[0])
        fail_msg("%s", config->warnings[0]);
}

/* Exactly this one. */
static void expect_warning(const struct sl_loaded_config *config, const char *text)
{
    assert_non_null(config->warnings[0]);
    assert_string_equal(config->warnings[0], text);
    assert_null(config->warnings[1]);
}

#define KBC "[kbc]\nname = \"offline_fs_kbc\"\n"

/* ---- the kernel's command line ---- */

static void kernel_parameters_are_those_of_image(void **state)
{
    (void)state;
    static const struct {
        const char *cmdline, *https, *http, *no, *auth, *policy;
    } cases[] = {
        {"root=/dev/vda1 ro console=tty0 agent.https_proxy=http://1.2.3.4:1234",
         "http://1.2.3.4:1234", NULL, NULL, NULL, NULL},
        {"agent.no_proxy=localhost quiet agent.https_proxy=http://1.2.3.4:1234",
         "http://1.2.3.4:1234", NULL, "localhost", NULL, NULL},
        {"\n  agent.no_proxy=localhost\f   \n\t agent.https_proxy=http://1.2.3.4:1234\r\n\f ",
         "http://1.2.3.4:1234", NULL, "localhost", NULL, NULL},
        {"agent.image_registry_auth=kbs:///default/credentials/test", NULL, NULL, NULL,
         "kbs:///default/credentials/test", NULL},
        {"agent.image_registry_auth=file:///root/.docker/config.json x", NULL, NULL, NULL,
         "file:///root/.docker/config.json", NULL},
        {"agent.image_policy_file=kbs:///default/image-policy/test "
         "agent.enable_signature_verification=true",
         NULL, NULL, NULL, NULL, "kbs:///default/image-policy/test"},
        {"agent.enable_signature_verification=true agent.image_policy_file=file:///etc/p.json",
         NULL, NULL, NULL, NULL, "file:///etc/p.json"},
        {"agent.image_policy_file=kbs:///a/b/c", NULL, NULL, NULL, NULL, NULL},
        {"agent.image_policy_file=kbs:///a/b/c agent.enable_signature_verification=false", NULL,
         NULL, NULL, NULL, NULL},
        {"agent.image_policy_file=kbs:///a/b/c agent.enable_signature_verification=True", NULL,
         NULL, NULL, NULL, NULL},
        {"agent.image_policy_file=kbs:///a/b/c agent.enable_signature_verification", NULL, NULL,
         NULL, NULL, NULL},
        {"agent.image_policy_file=kbs:///a/b/c agent.enable_signature_verification=true "
         "agent.enable_signature_verification=false",
         NULL, NULL, NULL, NULL, NULL},
        {"agent.http_proxy=http://h:1 agent.https_proxy=http://s:2 agent.no_proxy=a,b",
         "http://s:2", "http://h:1", "a,b", NULL, NULL},
        {"agent.https_proxy=http://old:1 agent.https_proxy=http://new:2?a=b=c",
         "http://new:2?a=b=c", NULL, NULL, NULL, NULL},
        {"xagent.https_proxy=http://a:1 agent.https_proxyx=http://b:1 agent.https_proxy", NULL,
         NULL, NULL, NULL, NULL},
        {"agent.https_proxy=", NULL, NULL, NULL, NULL, NULL},
        {"", NULL, NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_loaded_config) config = load(NULL, NULL, cases[i].cmdline);
        expect_text(config->values.https_proxy, cases[i].https);
        expect_text(config->values.http_proxy, cases[i].http);
        expect_text(config->values.no_proxy, cases[i].no);
        expect_text(config->values.authenticated_registry_credentials_uri, cases[i].auth);
        expect_text(config->values.image_security_policy_uri, cases[i].policy);
    }
}

static void kernel_parameters_tell_their_origin(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config)
    config = load(KBC, "cdh.toml",
                  "agent.https_proxy=http://u:pw@p:1 agent.enable_signature_verification=true "
                  "agent.image_policy_file=/etc/p.json");
    expect_line(config, "image.image_pull_proxy.https_proxy", "http://u:***@p:1",
                "kernel: agent.https_proxy");
    expect_line(config, "image.image_security_policy_uri", "/etc/p.json",
                "kernel: agent.image_policy_file");
    assert_int_equal(line_of(config, "image.image_security_policy_uri")->from, SL_CONFIG_KERNEL);
    expect_no_warning(config);
}

static void kernel_parameters_give_way_to_a_section_image(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config)
    config = load(KBC "[image]\n", "cdh.toml",
                  "agent.https_proxy=http://p:1 agent.image_policy_file=/etc/p.json "
                  "agent.enable_signature_verification=true agent.aa_kbc_params=cc_kbc::x");
    assert_null(config->values.https_proxy);
    assert_null(config->values.image_security_policy_uri);
    assert_string_equal(config->values.kbc_name, "offline_fs_kbc");
    assert_string_equal(config->warnings[0], "kernel: agent.https_proxy: not used, since the "
                                             "configuration file has a section [image]");
    assert_string_equal(config->warnings[1], "kernel: agent.image_policy_file: not used, since the "
                                             "configuration file has a section [image]");
    assert_null(config->warnings[2]);
}

static void kernel_policy_without_verification_is_told(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config) config = load(NULL, NULL, "agent.image_policy_file=/etc/p.json");
    expect_warning(config, "kernel: agent.image_policy_file: not used, since "
                           "agent.enable_signature_verification is not true");
    SL_AUTO(sl_loaded_config)
    other = load(NULL, NULL, "agent.enable_signature_verification=true");
    expect_warning(other, "kernel: agent.enable_signature_verification: without effect, since "
                          "there is no agent.image_policy_file");
}

static void kernel_parameters_of_bad_form_are_refused(void **state)
{
    (void)state;
    refuse(NULL, NULL, "agent.image_registry_auth=kbs:///default",
           "kernel: agent.image_registry_auth: image.authenticated_registry_credentials_uri: ");
    refuse(NULL, NULL, "agent.image_registry_auth=", "must not be empty");
    refuse(NULL, NULL, "agent.image_registry_auth=/etc/\xff", "ASCII");
    refuse(NULL, NULL, "agent.https_proxy=gopher://user:secret@x", "https_proxy: is no proxy");
    refuse(NULL, NULL, "agent.no_proxy=a\x1b[2J", "control character");
    refuse(NULL, NULL, "agent.aa_kbc_params=cc_kbc",
           "kernel: agent.aa_kbc_params: 'cc_kbc' is not");
    const struct sl_config_texts nul = {.cmdline = {(const uint8_t *)"agent.no_proxy=a\0b", 18},
                                        .environment = environment};
    struct sl_loaded_config *config = NULL;
    struct sl_error err = {0};
    assert_error(sl_config_load_texts(&nul, &config, &err), EINVAL, SL_E_FORMAT, "NUL");
}

static void kernel_command_line_over_the_limit_is_refused(void **state)
{
    (void)state;
    static char text[SL_CONFIG_CMDLINE_MAX + 2];
    memset(text, ' ', sizeof(text) - 1);
    refuse(NULL, NULL, text, "over 65536 bytes");
    text[SL_CONFIG_CMDLINE_MAX] = 0;
    SL_AUTO(sl_loaded_config) config = load(NULL, NULL, text);
}

/* ---- the key broker ---- */

static void kbc_without_a_file_is_the_environments_then_the_kernels(void **state)
{
    (void)state;
    static const char cmdline[] = "agent.aa_kbc_params=offline_fs_kbc::http://[::1]:8080";
    SL_AUTO(sl_loaded_config) kernel = load(NULL, NULL, cmdline);
    expect_line(kernel, "kbc.name", "offline_fs_kbc", "kernel: agent.aa_kbc_params");
    expect_line(kernel, "kbc.url", "http://[::1]:8080", "kernel: agent.aa_kbc_params");
    the_environment[0] = "AA_KBC_PARAMS";
    the_environment[1] = "cc_kbc::https://kbs:1";
    SL_AUTO(sl_loaded_config) environments = load(NULL, NULL, cmdline);
    expect_line(environments, "kbc.name", "cc_kbc", "environment: AA_KBC_PARAMS");
    expect_line(environments, "kbc.url", "https://kbs:1", "environment: AA_KBC_PARAMS");
    SL_AUTO(sl_loaded_config) files = load(KBC, "cdh.toml", cmdline);
    expect_line(files, "kbc.name", "offline_fs_kbc", "cdh.toml: line 2");
    expect_line(files, "kbc.url", "", "default");
    the_environment[1] = "cc_kbc";
    refuse(NULL, NULL, "", "environment: AA_KBC_PARAMS: 'cc_kbc' is not NAME::URL");
    the_environment[0] = NULL;
    SL_AUTO(sl_loaded_config) nobodys = load(NULL, NULL, "");
    expect_line(nobodys, "kbc.name", "offline_fs_kbc", "default");
    expect_line(nobodys, "kbc.url", "", "default");
}

static void auth_of_the_environment_beats_file_and_kernel(void **state)
{
    (void)state;
    the_environment[0] = "CDH_DEFAULT_IMAGE_AUTHENTICATED_REGISTRY_CREDENTIALS";
    the_environment[1] = "kbs:///e/n/v";
    SL_AUTO(sl_loaded_config)
    file = load(KBC "[image]\nauthenticated_registry_credentials_uri = \"kbs:///f/i/l\"\n",
                "cdh.toml", "");
    SL_AUTO(sl_loaded_config) kernel = load(NULL, NULL, "agent.image_registry_auth=kbs:///k/e/r");
    assert_string_equal(file->values.authenticated_registry_credentials_uri, "kbs:///e/n/v");
    expect_line(kernel, "image.authenticated_registry_credentials_uri", "kbs:///e/n/v",
                "environment: CDH_DEFAULT_IMAGE_AUTHENTICATED_REGISTRY_CREDENTIALS");
    the_environment[1] = "kbs:///e";
    refuse(NULL, NULL, "", "environment: CDH_DEFAULT");
}

/* ---- the file ---- */

static void defaults_are_the_hubs_and_ours(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config) config = load(NULL, NULL, "");
    const struct sl_config *v = &config->values;
    expect_text(v->socket, "ttrpc+unix:///run/confidential-containers/cdh.sock");
    expect_text(v->aa_socket,
                "unix:///run/confidential-containers/attestation-agent/attestation-agent.sock");
    expect_text(v->work_dir, "/run/kata-containers/image/");
    expect_text(v->log_level, "info");
    expect_text(v->control, "ttrpc+unix:///run/sluice/control.sock");
    expect_text(v->pause_bundle, "/pause_bundle");
    expect_text(v->bundle_roots[0], "/run/kata-containers");
    assert_null(v->bundle_roots[1]);
    assert_int_equal(v->max_concurrent_layer_downloads_per_image, 3);
    assert_int_equal(v->memory, 64 << 20);
    assert_int_equal(v->pulls, 8);
    assert_int_equal(v->workers, 0);
    assert_int_equal(v->key_timeout_s, 50);
    assert_int_equal(v->progress_s, 5);
    assert_int_equal(v->drain_s, 30);
    assert_int_equal(v->keep, SL_KEEP_ALL);
    assert_true(v->policy_dialect_image_rs);
    assert_false(v->log_json || v->require_policy || v->require_signed || v->verify_first ||
                 v->unsafe_sample_key || v->allow_a256ctr || v->skip_sealed_secret_verification);
    assert_null(v->listen);
    assert_null(v->metrics);
    assert_null(v->upstream);
    assert_null(v->key_providers);
    assert_null(v->https_proxy);
    assert_int_equal(v->n_credentials, 0);
    for (size_t i = 0; i < config->n_lines; i++)
        assert_int_equal(config->lines[i].from, SL_CONFIG_DEFAULT);
    expect_no_warning(config);
}

static void minimal_file_is_the_defaults(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config) config = load_toml(KBC);
    SL_AUTO(sl_loaded_config) none = load(NULL, NULL, "");
    assert_int_equal(config->n_lines, none->n_lines);
    for (size_t i = 0; i < config->n_lines; i++)
        assert_string_equal(config->lines[i].value, none->lines[i].value);
    expect_line(config, "kbc.name", "offline_fs_kbc", "cdh.toml: line 2");
    expect_no_warning(config);
}

/* The hub's documentation has this file, with a certificate that is cut short. */
static const char worked_example[] =
    "socket = \"unix:///run/confidential-containers/cdh.sock\"\n"
    "\n"
    "[kbc]\n"
    "name = \"cc_kbc\"\n"
    "url  = \"https://kbs.example.org:8080\"\n"
    "\n"
    "[image]\n"
    "work_dir = \"/run/kata-containers/image/\"\n"
    "max_concurrent_layer_downloads_per_image = 8\n"
    "image_security_policy_uri = \"kbs:///default/security-policy/prod\"\n"
    "authenticated_registry_credentials_uri = \"kbs:///default/credential/prod\"\n"
    "extra_root_certificates = ['''%s''']\n"
    "[image.image_pull_proxy]\n"
    "https_proxy = \"http://proxy.example.org:3128\"\n"
    "no_proxy    = \"10.0.0.0/8,registry.internal\"\n"
    "[image.registry_config]\n"
    "unqualified-search-registries = [\"docker.io\"]\n"
    "[[image.registry_config.registry]]\n"
    "prefix   = \"example.org/team\"\n"
    "location = \"registry.internal/team\"\n"
    "[[image.registry_config.registry.mirror]]\n"
    "location = \"mirror.internal:5000/team\"\n"
    "insecure = true\n"
    "[sluice]\n"
    "upstream = \"unix:///run/upstream.sock\"\n";
enum { PEM_LINES_MORE = 10 }; /* lines of the certificate but one */

static void worked_example_line_by_line(void **state)
{
    (void)state;
    SL_AUTO_FREE char *text = text_edit(worked_example, "%s", pem);
    SL_AUTO(sl_loaded_config) config = load_toml(text);
    static const struct {
        const char *key, *value;
        unsigned line;
    } lines[] = {
        {"socket", "ttrpc+unix:///run/confidential-containers/cdh.sock", 1},
        {"kbc.name", "cc_kbc", 4},
        {"kbc.url", "https://kbs.example.org:8080", 5},
        {"image.work_dir", "/run/kata-containers/image/", 8},
        {"image.max_concurrent_layer_downloads_per_image", "8", 9},
        {"image.image_security_policy_uri", "kbs:///default/security-policy/prod", 10},
        {"image.authenticated_registry_credentials_uri", "kbs:///default/credential/prod", 11},
        {"image.extra_root_certificates", "(1 certificate)", 12},
        {"image.image_pull_proxy.https_proxy", "http://proxy.example.org:3128",
         14 + PEM_LINES_MORE},
        {"image.image_pull_proxy.no_proxy", "10.0.0.0/8,registry.internal", 15 + PEM_LINES_MORE},
        {"image.registry_config",
         "{\"registry\":[{\"location\":\"registry.internal/team\",\"mirror\":[{\"insecure\":true,"
         "\"location\":\"mirror.internal:5000/team\"}],\"prefix\":\"example.org/team\"}],"
         "\"unqualified-search-registries\":[\"docker.io\"]}",
         16 + PEM_LINES_MORE},
        {"sluice.upstream", "unix:///run/upstream.sock", 25 + PEM_LINES_MORE},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        SL_AUTO_FREE char *origin = sl_strf("cdh.toml: line %u", lines[i].line);
        expect_line(config, lines[i].key, lines[i].value, origin);
    }
    size_t from_file = 0;
    for (size_t i = 0; i < config->n_lines; i++)
        from_file += config->lines[i].from == SL_CONFIG_FILE;
    assert_int_equal(from_file, sizeof(lines) / sizeof(lines[0]));
    assert_memory_equal(config->values.extra_root_certificates, pem, strlen(pem));
    expect_no_warning(config);
}

static void json_is_the_same_as_toml(void **state)
{
    (void)state;
    static const char json[] =
        "{\"socket\": \"127.0.0.1:50000\", \"kbc\": {\"name\": \"offline_fs_kbc\", \"kbs_cert\": "
        "\"\"},\n"
        " \"image\": {\"image_security_policy\": \"{\\n  \\\"default\\\": []\\n}\\n\",\n"
        "  \"image_pull_proxy\": {\"http_proxy\": \"p:1\"}, \"default_snapshot\": \"overlay\",\n"
        "  \"sigstore_config_uri\": null,\n"
        "  \"registry_config\": {\"registry\": [{\"location\": \"a\"}]}},\n"
        " \"credentials\": [{\"path\": \"/run/confidential-containers/cdh/kbs/a\",\n"
        "   \"resource_uri\": \"kbs:///a/b/c\"}],\n"
        " \"log\": {\"level\": \"WARN\"},\n"
        " \"sluice\": {\"memory\": 16777216, \"bundle_roots\": [\"/a/\", \"/b\"], \"keep\": "
        "\"mounted\",\n"
        "  \"require_policy\": true, \"listen\": [\"vsock://1:1024\"]}}";
    static const char toml[] = "socket = '127.0.0.1:50000'\n"
                               "log.level = 'warn'\n"
                               "[kbc]\nname = 'offline_fs_kbc'\nkbs_cert = ''\n"
                               "[image]\ndefault_snapshot = 'overlay'\n"
                               "image_security_policy = '''\n{\n  \"default\": []\n}\n'''\n"
                               "image_pull_proxy = {http_proxy = 'p:1'}\n"
                               "[[image.registry_config.registry]]\nlocation = 'a'\n"
                               "[[credentials]]\n"
                               "path = '/run/confidential-containers/cdh/kbs/a'\n"
                               "resource_uri = 'kbs:///a/b/c'\n"
                               "[sluice]\nmemory = '16M'\nbundle_roots = ['/a', '/b/']\n"
                               "keep = 'mounted'\nrequire_policy = true\n"
                               "listen = ['ttrpc+vsock://1:1024']\n";
    SL_AUTO(sl_loaded_config) a = load(json, "cdh.json", "");
    SL_AUTO(sl_loaded_config) b = load(toml, "cdh.toml", "");
    assert_int_equal(a->n_lines, b->n_lines);
    for (size_t i = 0; a->warnings[i] || b->warnings[i]; i++) {
        assert_non_null(a->warnings[i]);
        assert_non_null(b->warnings[i]);
        assert_string_equal(
            strstr(a->warnings[i], "sluice") ? strstr(a->warnings[i], "sluice") : "",
            strstr(b->warnings[i], "sluice") ? strstr(b->warnings[i], "sluice") : "");
    }
    for (size_t i = 0; i < a->n_lines; i++) {
        assert_string_equal(a->lines[i].key, b->lines[i].key);
        expect_line(a, b->lines[i].key, b->lines[i].value, a->lines[i].origin);
        assert_int_equal(a->lines[i].from, b->lines[i].from);
    }
    expect_line(a, "sluice.keep", "mounted", "cdh.json: line 9");
    expect_text(a->values.socket, "grpc://127.0.0.1:50000");
    assert_int_equal(a->values.keep, SL_KEEP_MOUNTED);
}

/* Containers may share the network of their guest: loopback and abstract sockets are theirs too. */
static void addresses_that_containers_reach_are_told(void **state)
{
    (void)state;
    static const char *const shared[] = {"127.0.0.1:50000", "grpc://[::1]:1", "unix://@hub",
                                         "vsock://1:1024"};
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        SL_AUTO_FREE char *text =
            sl_strf(KBC "[sluice]\nlisten = ['unix:///a', '%s']\n", shared[i]);
        SL_AUTO(sl_loaded_config) config = load_toml(text);
        assert_non_null(config->warnings[0]);
        assert_non_null(strstr(config->warnings[0], "line 4: sluice.listen: "));
        assert_non_null(strstr(config->warnings[0], "also by containers"));
        assert_null(config->warnings[1]);
    }
    SL_AUTO(sl_loaded_config) private = load_toml(KBC "[sluice]\nlisten = ['grpc+unix:///a']\n");
    expect_no_warning(private);
    refuse(KBC "[sluice]\ncontrol = 'unix://@control'\n", "cdh.toml", "",
           "line 4: sluice.control: whatever shares this network");
    refuse(KBC "[sluice]\ncontrol = 'ttrpc://127.0.0.1:1'\n", "cdh.toml", "",
           "line 4: sluice.control: whatever shares this network");
}

static void inline_policy_is_kept_verbatim(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config)
    config = load_toml(KBC "[image]\nimage_security_policy = '''\n{\n  \"a\\t\":\t[]\n}\n'''\n");
    expect_text(config->values.image_security_policy, "{\n  \"a\\t\":\t[]\n}\n");
    /* printf '{\n  "a\\t":\t[]\n}\n' | sha256sum */
    expect_line(
        config, "image.image_security_policy",
        "(16 bytes, sha256:daae2a6b0fb4d24f7f275ba8f6e49265c51dc1bbdf19a723d15e4131cfe0afc1)",
        "cdh.toml: line 4");
}

static void unknown_keys_are_ignored_and_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *warning;
    } cases[] = {
        {"[image]\nsome_undefined_field = 'x'\n",
         "cdh.toml: line 4: image.some_undefined_field: unknown key, ignored"},
        {"[image]\nimage_security_polcy_uri = 'kbs:///a/b/c'\n",
         "cdh.toml: line 4: image.image_security_polcy_uri: unknown key, ignored; did you mean "
         "image.image_security_policy_uri?"},
        {"[imgae]\nwork_dir = '/x'\n",
         "cdh.toml: line 3: imgae: unknown key, ignored; did you mean image?"},
        {"[image]\n\nmemory = 1\n",
         "cdh.toml: line 5: image.memory: unknown key, ignored; did you mean sluice.memory?"},
        {"[[credentials]]\npath = '/run/confidential-containers/cdh/kbs/a'\n"
         "resource_uri = 'kbs:///a/b/c'\nmode = 1\n",
         "cdh.toml: line 6: mode: unknown key, ignored"},
        {"[image]\nanonymous_fallback_on_unauthorized = true\n",
         "cdh.toml: line 4: image.anonymous_fallback_on_unauthorized: the hub's, without effect "
         "here"},
        {"[image]\nmax_concurrent_layer_downloads_per_image = 1000\n",
         "cdh.toml: line 4: image.max_concurrent_layer_downloads_per_image: 1000 is above the most "
         "there can be, 64 is used"},
        {"[image]\nimage_pull_proxy.no_proxy = 'a'\n",
         "cdh.toml: line 4: image.image_pull_proxy.no_proxy: without effect, since there is no "
         "proxy"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *text = sl_strf("%s%s", KBC, cases[i].text);
        SL_AUTO(sl_loaded_config) config = load_toml(text);
        expect_warning(config, cases[i].warning);
    }
}

static void warnings_have_an_end(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = {0};
    assert_int_equal(sl_bytes_append(&text, sl_span_of(KBC "[image]\n"), 1 << 20, NULL), 0);
    for (int i = 0; i < 5000; i++) {
        SL_AUTO_FREE char *line = sl_strf("unknown%d = 1\n", i);
        assert_int_equal(sl_bytes_append(&text, sl_span_of(line), 1 << 20, NULL), 0);
    }
    SL_AUTO(sl_loaded_config) config = load_toml((char *)text.data);
    size_t n = 0;
    while (config->warnings[n])
        n++;
    assert_int_equal(n, 101);
    assert_string_equal(config->warnings[100], "4900 more warnings");
}

static void bad_files_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "cdh.toml: kbc.name is missing"},
        {"[kbc]\nurl = ''\n", "cdh.toml: kbc.name is missing"},
        {"[kbc]\nname = ''\n", "cdh.toml: line 2: kbc.name: must not be empty"},
        {"[kbc]\nname = 'a::b'\n", "cdh.toml: line 2: kbc.name: 'a::b' is no name"},
        {"[kbc\n", "cdh.toml: line 1: "},
        {"kbc = 'offline_fs_kbc'\n", "cdh.toml: line 1: kbc: must be a table"},
        {KBC "[[image]]\n", "cdh.toml: line 3: image: must be a table"},
        {KBC "kbs_cert = 'ca.pem'\n", "cdh.toml: line 3: kbc.kbs_cert: holds no certificate"},
        {KBC "[image]\nwork_dir = 1\n", "cdh.toml: line 4: image.work_dir: must be a string"},
        {KBC "[image]\nwork_dir = 'x'\n", "cdh.toml: line 4: image.work_dir: 'x' must be an"},
        {KBC "[image]\nwork_dir = \"/a\\nb\"\n", "line 4: image.work_dir: holds a control"},
        {KBC "[image]\nwork_dir = \"/a\\u009bb\"\n", "line 4: image.work_dir: holds a control"},
        {KBC "[image]\nmax_concurrent_layer_downloads_per_image = '3'\n",
         "line 4: image.max_concurrent_layer_downloads_per_image: must be a whole number"},
        {KBC "[image]\nmax_concurrent_layer_downloads_per_image = 0\n", "0 is not a number from 1"},
        {KBC "[image]\nmax_concurrent_layer_downloads_per_image = -1\n", "-1 is not a number"},
        {KBC "[image]\nimage_security_policy_uri = ''\n",
         "line 4: image.image_security_policy_uri: "
         "must not be empty"},
        {KBC "[image]\nimage_security_policy = ''\n", "must not be empty"},
        {KBC "[image]\nimage_security_policy_uri = 'kbs:///a/b'\n", "line 4: image.image_security"},
        {KBC "[image]\nimage_security_policy_uri = 'kbs:///a/../c'\n", "line 4: image.image_secu"},
        {KBC "[image]\nimage_security_policy_uri = 'file://p.json'\n", "names no resource"},
        {KBC "[image]\nimage_security_policy_uri = 'https://x/p'\n", "names no resource"},
        {KBC "[image]\nsigstore_config_uri = 'p.yaml'\n", "names no resource"},
        {KBC "[image]\nextra_root_certificates = 'x'\n", "must be an array of strings"},
        {KBC "[image]\nextra_root_certificates = ['x']\n", "element 1: holds no certificate"},
        {KBC "[image]\nextra_root_certificates = [1]\n", "element 1: must be a string"},
        {KBC "[image]\nregistry_config = 'x'\n", "line 4: image.registry_config: must be a table"},
        {KBC "[image]\nimage_pull_proxy = 'x'\n", "image.image_pull_proxy: must be a table"},
        {KBC "[image.image_pull_proxy]\nhttp_proxy = 'x://u:pw@h'\n", "http_proxy: is no proxy"},
        {KBC "[log]\nlevel = 'loud'\n", "line 4: log.level: 'loud' is none of error"},
        {KBC "[aa]\naa_socket = 'http://x'\n", "line 4: aa.aa_socket: "},
        {KBC "[sluice]\nlisten = 'x'\n", "line 4: sluice.listen: must be an array"},
        {KBC "[sluice]\nlisten = ['http://x']\n", "line 4: sluice.listen: element 1: http://x: "},
        {KBC "[sluice]\nlisten = ['unix://relative']\n", "line 4: sluice.listen: element 1: "},
        {KBC "[sluice]\ncontrol = 'grpc://127.0.0.1:1'\n", "line 4: sluice.control: "},
        {KBC "[sluice]\nmetrics = '0.0.0.0:9090'\n", "told to this machine alone"},
        {KBC "[sluice]\nmetrics = '127.0.0.1'\n", "line 4: sluice.metrics: "},
        {KBC "[sluice]\nmetrics = 'unix://x'\n", "line 4: sluice.metrics: "},
        {KBC "[sluice]\nupstream = 'grpc://x'\n", "line 4: sluice.upstream: "},
        {KBC "[sluice]\nmemory = true\n", "line 4: sluice.memory: must be a size"},
        {KBC "[sluice]\nmemory = 1.5\n", "line 4: sluice.memory: must be a size"},
        {KBC "[sluice]\nmemory = '64MB'\n", "line 4: sluice.memory: '64MB' is not a size"},
        {KBC "[sluice]\nmemory = '-1M'\n", "is not a size"},
        {KBC "[sluice]\nmemory = ' 64M'\n", "is not a size"},
        {KBC "[sluice]\nmemory = '99999999999G'\n", "is not a size"},
        {KBC "[sluice]\nmemory = '4M'\n", "4194304 bytes are too few or too many"},
        {KBC "[sluice]\nmemory = '1024G'\n", "too few or too many"},
        {KBC "[sluice]\nmemory = -67108864\n", "too few or too many"},
        {KBC "[sluice]\nworkers = 257\n", "257 is not a number from 0 to 256"},
        {KBC "[sluice]\npulls = 0\n", "0 is not a number from 1 to 64"},
        {KBC "[sluice]\npulls = 99999999999999999999\n", "line 4"},
        {KBC "[sluice]\nbundle_roots = []\n", "line 4: sluice.bundle_roots: must not be empty"},
        {KBC "[sluice]\nbundle_roots = ['/a/../b']\n", "element 1: '/a/../b' must be an absolute"},
        {KBC "[sluice]\nbundle_roots = ['/a', '/b/.']\n", "element 2: '/b/.' must be"},
        {KBC "[sluice]\nbundle_roots = ['/a//b']\n", "element 1: '/a//b' must be"},
        {KBC "[sluice]\nkeep = 'some'\n", "line 4: sluice.keep: 'some' is neither \"all\" nor"},
        {KBC "[sluice]\nkeep = true\n", "line 4: sluice.keep: must be a string"},
        {KBC "[sluice]\npolicy_dialect = 'x'\n", "neither \"containers\" nor \"image-rs\""},
        {KBC "[sluice]\npolicy_digest = 'md5:00'\n", "line 4: sluice.policy_digest: "},
        {KBC "[sluice]\nrequire_signed = 'true'\n", "require_signed: must be true or false"},
        {KBC "[sluice]\nkey_timeout_s = 0\n", "not a number from 1 to 3600"},
        {KBC "[sluice]\npgp_home = 'x'\n", "must be an absolute path"},
        /* what does not go together */
        {KBC "[sluice]\nrequire_signed = true\n", "line 4: sluice.require_signed: there is no"},
        {KBC "[sluice]\npolicy_digest = 'sha256:"
             "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'\n",
         "line 4: sluice.policy_digest: there is no policy"},
        {KBC "[sluice]\nupstream = 'unix:///run/confidential-containers/cdh.sock'\n",
         "line 4: sluice.upstream: is the socket that is served here"},
        {KBC "[sluice]\nupstream = '/run/confidential-containers/cdh.sock'\n", "in a circle"},
        {KBC "[sluice]\nlisten = ['unix:///a']\nupstream = '/a'\n", "line 5: sluice.upstream: "},
        {KBC "[sluice]\nlisten = ['unix:///a']\ncontrol = 'unix:///a'\n", "line 4: sluice.listen"},
        {KBC "[sluice]\ncontrol = 'unix:///run/confidential-containers/cdh.sock'\n",
         "line 4: sluice.control: is the socket"},
        {KBC "[sluice]\nmetrics = 'unix:///run/sluice/control.sock'\n", "line 4: sluice.metrics: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuse(cases[i].text, "cdh.toml", "", cases[i].message);
    refuse("[]", "cdh.json", "", "cdh.json: must be an object");
    refuse("{\"kbc\": {\"name\": \"x\"}, \"image\": null}", "x.json", "", "image: must be a table");
    refuse("{\"kbc\": {\"name\":\n 1}}", "x.json", "", "x.json: line 1: kbc.name: must be a");
    refuse(KBC, "cdh.json", "", "cdh.json: line 1, column 2");
}

static void secrets_are_in_no_message(void **state)
{
    (void)state;
    static const char *const proxies[] = {"http://u:pa55@h:1", "u:pa55@h:1", "http://u:pa55/x@h",
                                          "http://u:x@pa55@h", "socks5h://:pa55@h"};
    for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
        SL_AUTO_FREE char *text =
            sl_strf("%s[image.image_pull_proxy]\nhttp_proxy = '%s'\n", KBC, proxies[i]);
        SL_AUTO(sl_loaded_config) config = load_toml(text);
        const char *shown = line_of(config, "image.image_pull_proxy.http_proxy")->value;
        assert_null(strstr(shown, "pa55"));
        assert_non_null(strstr(shown, ":***@"));
        assert_string_equal(config->values.http_proxy, proxies[i]);
    }
    struct sl_error err = {0};
    struct sl_loaded_config *config = NULL;
    assert_error(try_load(NULL, NULL, "agent.https_proxy=nn://u:pa55@h", &config, &err), EINVAL,
                 SL_E_FORMAT, "no proxy");
    assert_null(strstr(err.msg, "pa55"));
}

static void certificates_are_read_strictly(void **state)
{
    (void)state;
    SL_AUTO_FREE char *two = sl_strf("# mine\n%s\n%s", pem, pem);
    SL_AUTO_FREE char *good =
        sl_strf("%skbs_cert = '''%s'''\n[image]\nextra_root_certificates = ['''%s''', '''%s''']\n",
                KBC, pem, two, pem);
    SL_AUTO(sl_loaded_config) config = load_toml(good);
    expect_line(config, "kbc.kbs_cert", "(1 certificate)", "cdh.toml: line 3");
    assert_string_equal(line_of(config, "image.extra_root_certificates")->value,
                        "(3 certificates)");
    SL_AUTO_FREE char *spoiled = text_edit(good, "MII", "MIX");
    refuse(spoiled, "cdh.toml", "", "kbc.kbs_cert: not every PEM block");
    SL_AUTO_FREE char *other =
        text_edit(good, "# mine", "-----BEGIN X-----\nAA==\n-----END X-----");
    refuse(other, "cdh.toml", "", "element 1: holds something else than certificates");
    SL_AUTO_FREE char *unended =
        text_edit(good, "-----END CERTIFICATE-----\n'''\n[image]", "'''\n[image]");
    refuse(unended, "cdh.toml", "", "kbc.kbs_cert: not every PEM block");
}

/* ---- both ways of saying one thing ---- */

static void of_two_ways_one_wins(void **state)
{
    (void)state;
    static const struct {
        const char *text, *warning;
    } cases[] = {
        {"image_security_policy = '{}'\nimage_security_policy_uri = '/p'\n",
         "cdh.toml: line 4: image.image_security_policy: not used, since "
         "image.image_security_policy_uri wins (cdh.toml: line 5)"},
        {"sigstore_config = 'x'\nsigstore_config_uri = '/p'\n",
         "cdh.toml: line 4: image.sigstore_config: not used, since image.sigstore_config_uri wins "
         "(cdh.toml: line 5)"},
        {"registry_configuration_uri = '/p'\nregistry_config = {}\n",
         "cdh.toml: line 4: image.registry_configuration_uri: not used, since "
         "image.registry_config wins (cdh.toml: line 5)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *text = sl_strf("%s[image]\n%s", KBC, cases[i].text);
        SL_AUTO(sl_loaded_config) config = load_toml(text);
        const struct sl_config *v = &config->values;
        expect_warning(config, cases[i].warning);
        expect_text(v->image_security_policy, NULL);
        expect_text(v->sigstore_config, NULL);
        expect_text(v->image_security_policy_uri, i == 0 ? "/p" : NULL);
        expect_text(v->sigstore_config_uri, i == 1 ? "/p" : NULL);
        expect_text(v->registry_configuration_uri, NULL);
        expect_text(v->registry_config, i == 2 ? "{}" : NULL);
    }
}

static void sizes_are_shown_as_short_as_they_are_exact(void **state)
{
    (void)state;
    static const char *const sizes[][2] = {{"'16M'", "16M"},
                                           {"'8M'", "8M"},
                                           {"8389632", "8193k"},
                                           {"8388609", "8388609"},
                                           {"'2048M'", "2G"}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char file[128];
        (void)snprintf(file, sizeof(file), KBC "[sluice]\nmemory = %s\n", sizes[i][0]);
        SL_AUTO(sl_loaded_config) config = load_toml(file);
        expect_line(config, "sluice.memory", sizes[i][1], "cdh.toml: line 4");
    }
}

static void what_cannot_work_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *in_warning; /* NULL: none */
    } cases[] = {
        {"[kbc]\nname = 'cc_kbc'\n", NULL},
        {"[kbc]\nname = 'cc_kbc'\n[image]\nsigstore_config_uri = 'kbs:///a/b/c'\n",
         "cdh.toml: line 2: kbc.name: cc_kbc is not spoken here"},
        {"[kbc]\nname = 'cc_kbc'\n[image]\nsigstore_config_uri = 'kbs:///a/b/c'\n"
         "[sluice]\nupstream = '/a'\n",
         NULL},
        {"[kbc]\nname = 'cc_kbc'\n[[credentials]]\n"
         "path = '/run/confidential-containers/cdh/kbs/a'\nresource_uri = 'kbs:///a/b/c'\n",
         "cdh.toml: line 2: kbc.name: cc_kbc is not spoken here"},
        {"[kbc]\nname = 'sample_kbc'\n", "without sluice.unsafe_sample_key"},
        {"[kbc]\nname = 'sample_kbc'\n[sluice]\nunsafe_sample_key = true\n", NULL},
        {"[kbc]\nname = 'cc_kbc'\n[sluice]\noffline_keys = '/k'\n", "does not read sluice.offline"},
        {KBC "[sluice]\nrequire_policy = true\n", "line 4: sluice.require_policy: there is no"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_loaded_config) config = load_toml(cases[i].text);
        if (!cases[i].in_warning) {
            expect_no_warning(config);
            continue;
        }
        assert_non_null(config->warnings[0]);
        assert_non_null(strstr(config->warnings[0], cases[i].in_warning));
        assert_null(config->warnings[1]);
    }
}

/* ---- [[credentials]] ---- */

#define BELOW "/run/confidential-containers/cdh/kbs/"

static void credentials_are_those_of_file_and_kernel(void **state)
{
    (void)state;
    SL_AUTO(sl_loaded_config)
    config = load(KBC "[[credentials]]\npath = '" BELOW "test/file'\n"
                      "resource_uri = 'kbs:///default/test/file'\n",
                  "cdh.toml",
                  "cdh.kbs_resources=kbs:///x/y/z::" BELOW "a,,broken,kbs:///x/y/w::" BELOW "b");
    assert_int_equal(config->values.n_credentials, 3);
    expect_line(config, "credentials[0].path", BELOW "test/file", "cdh.toml: line 3");
    expect_line(config, "credentials[0].resource_uri", "kbs:///default/test/file",
                "cdh.toml: line 3");
    expect_line(config, "credentials[1].path", BELOW "a", "kernel: cdh.kbs_resources");
    expect_line(config, "credentials[2].resource_uri", "kbs:///x/y/w", "kernel: cdh.kbs_resources");
    expect_warning(config, "kernel: cdh.kbs_resources: 'broken' is not URI::PATH, ignored");
}

static void credentials_of_bad_form_are_refused(void **state)
{
    (void)state;
#define URI "resource_uri = 'kbs:///a/b/c'\n"
    static const struct {
        const char *entry, *message;
    } cases[] = {
        {"", "cdh.toml: line 3: credentials: "},
        {URI, "path"},
        {"path = '" BELOW "a'\n", "resource_uri"},
        {"path = 1\n" URI, "path"},
        {"path = '/etc/passwd'\n" URI, "path: '/etc/passwd' is not a file below"},
        {"path = '" BELOW "'\n" URI, "is not a file below"},
        {"path = '" BELOW "a/'\n" URI, "is not a file below"},
        {"path = '" BELOW "a/../../b'\n" URI, "is not a file below"},
        {"path = '" BELOW "./b'\n" URI, "is not a file below"},
        {"path = '" BELOW "a//b'\n" URI, "is not a file below"},
        {"path = '/run/confidential-containers/cdh/kbsx/a'\n" URI, "is not a file below"},
        {"path = \"" BELOW "\\u0007\"\n" URI, "control character"},
        {"path = '" BELOW "a'\nresource_uri = '/etc/x'\n", "is no resource of a broker"},
        {"path = '" BELOW "a'\nresource_uri = 'kbs:///a/b'\n", "credentials: resource_uri: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *text = sl_strf("%s[[credentials]]\n%s", KBC, cases[i].entry);
        refuse(text, "cdh.toml", "", cases[i].message);
    }
    refuse(KBC "[credentials]\n", "cdh.toml", "",
           "line 3: credentials: must be an array of tables");
    refuse("credentials = [1]\n" KBC, "cdh.toml", "", "credentials: must be an array of tables");
    refuse(NULL, NULL, "cdh.kbs_resources=kbs:///a/b/c::/etc/passwd", "is not a file below");
}

static void credentials_have_a_limit(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = {0};
    assert_int_equal(sl_bytes_append(&text, sl_span_of("cdh.kbs_resources="), 1 << 16, NULL), 0);
    for (int i = 0; i < 65; i++) {
        SL_AUTO_FREE char *entry = sl_strf("kbs:///a/b/c%d::" BELOW "%d,", i, i);
        assert_int_equal(sl_bytes_append(&text, sl_span_of(entry), 1 << 16, NULL), 0);
    }
    refuse(NULL, NULL, (char *)text.data, "more than 64 credentials");
}

/* ---- files ---- */

static void files_are_read_by_name(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    scratch_write(&dir, "cmdline", "agent.no_proxy=a agent.https_proxy=http://p:1\n", 0644);
    scratch_write(&dir, "cdh.json", "{\"kbc\": {\"name\": \"offline_fs_kbc\"}}", 0644);
    SL_AUTO_FREE char *cmdline = scratch_path(&dir, "cmdline");
    SL_AUTO_FREE char *json = scratch_path(&dir, "cdh.json");
    SL_AUTO_FREE char *missing = scratch_path(&dir, "missing");
    const struct sl_config_sources sources = {.cmdline = cmdline, .environment = environment};
    const struct sl_config_sources no_kernel = {.cmdline = missing, .environment = environment};
    struct sl_error err = {0};
    struct sl_loaded_config *config = NULL;
    assert_done(sl_config_load(json, &sources, &config, &err));
    expect_text(config->values.no_proxy, "a");
    SL_AUTO_FREE char *origin = sl_strf("%s: line 1", json);
    expect_line(config, "kbc.name", "offline_fs_kbc", origin);
    config = sl_config_free(config);
    assert_error(sl_config_load(missing, &sources, &config, &err), ENOENT, SL_E_SYSTEM, "missing");
    assert_error(sl_config_load(json, &no_kernel, &config, &err), ENOENT, SL_E_SYSTEM, "missing");
    assert_error(sl_config_load(dir.path, &sources, &config, &err), EISDIR, SL_E_SYSTEM, dir.path);
    assert_null(config);
}

static void file_over_the_limit_is_refused(void **state)
{
    (void)state;
    char *text = malloc(SL_CONFIG_FILE_MAX + 2);
    assert_non_null(text);
    memset(text, '\n', SL_CONFIG_FILE_MAX + 1);
    text[SL_CONFIG_FILE_MAX + 1] = 0;
    memcpy(text, KBC, strlen(KBC));
    refuse(text, "cdh.toml", "", "larger than 1048576 bytes");
    text[SL_CONFIG_FILE_MAX] = 0;
    SL_AUTO(sl_loaded_config) config = load_toml(text);
    free(text);
}

static void every_key_has_a_place_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct sl_config_key *a = sl_config_key_at((enum sl_config_id)i);
        for (int j = 0; a->kind != CONFIG_KIND_IGNORED && j < i; j++) {
            const struct sl_config_key *b = sl_config_key_at((enum sl_config_id)j);
            assert_string_not_equal(a->name, b->name);
            if (b->kind != CONFIG_KIND_IGNORED && a->offset == b->offset)
                fail_msg("%s and %s", a->name, b->name);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kernel_parameters_are_those_of_image),
        TEST(kernel_parameters_tell_their_origin),
        TEST(kernel_parameters_give_way_to_a_section_image),
        TEST(kernel_policy_without_verification_is_told),
        TEST(kernel_parameters_of_bad_form_are_refused),
        TEST(kernel_command_line_over_the_limit_is_refused),
        TEST(kbc_without_a_file_is_the_environments_then_the_kernels),
        TEST(auth_of_the_environment_beats_file_and_kernel),
        TEST(defaults_are_the_hubs_and_ours),
        TEST(minimal_file_is_the_defaults),
        TEST(worked_example_line_by_line),
        TEST(addresses_that_containers_reach_are_told),
        TEST(json_is_the_same_as_toml),
        TEST(inline_policy_is_kept_verbatim),
        TEST(unknown_keys_are_ignored_and_told),
        TEST(warnings_have_an_end),
        TEST(bad_files_are_refused_with_their_line),
        TEST(secrets_are_in_no_message),
        TEST(certificates_are_read_strictly),
        TEST(of_two_ways_one_wins),
        TEST(sizes_are_shown_as_short_as_they_are_exact),
        TEST(what_cannot_work_is_told),
        TEST(credentials_are_those_of_file_and_kernel),
        TEST(credentials_of_bad_form_are_refused),
        TEST(credentials_have_a_limit),
        TEST(files_are_read_by_name),
        TEST(file_over_the_limit_is_refused),
        TEST(every_key_has_a_place_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
