/* SPDX-License-Identifier: Apache-2.0 */
/* Generations of a configuration over a library that remembers what it was told. */
#include "assert_result.h"

#include "backend.h"
#include "scratch_dir.h"
#include "sluice/core/log.h"
#include "sources.h"

static struct {
    unsigned n_opened, n_closed, n_reloaded, n_cancelled, n_trimmed;
    char *open[4];  /* roots of engines; a handle points at its own */
    bool must_fail; /* opening and reloading */
    size_t memory;
    unsigned threads;
    const struct sluice_registry_options *registry; /* of the last that was opened or reloaded */
    const struct sluice_key_options *broker;
    char logged[4096];
    struct sl_backend *cancelled; /* while something is opened, or NULL */
} fake;

static int end_badly(struct sluice_error *err)
{
    *err = (struct sluice_error){.code = SLUICE_E_NETWORK, .errnum = EIO};
    (void)snprintf(err->message, sizeof(err->message), "as the test says");
    return -EIO;
}

int sluice_open(const struct sluice_options *options, struct sluice **ret, struct sluice_error *err)
{
    if (fake.must_fail)
        return end_badly(err);
    assert_true(fake.n_opened < 4);
    char **slot = &fake.open[fake.n_opened++];
    *slot = strdup(options->root);
    fake.memory = options->memory;
    fake.threads = options->threads;
    fake.registry = options->registry;
    fake.broker = options->broker;
    *ret = (struct sluice *)slot;
    if (fake.cancelled)
        sl_backend_cancel(fake.cancelled);
    return 0;
}

struct sluice *sluice_close(struct sluice *s)
{
    if (!s)
        return NULL;
    fake.n_closed++;
    free(*(char **)s);
    *(char **)s = NULL;
    return NULL;
}

int sluice_reload(struct sluice *s, const struct sluice_registry_options *registry,
                  const struct sluice_key_options *broker, struct sluice_error *err)
{
    assert_non_null(*(char **)s);
    if (fake.must_fail)
        return end_badly(err);
    fake.n_reloaded++;
    fake.registry = registry;
    fake.broker = broker;
    return 0;
}

void sluice_cancel(struct sluice *s)
{
    assert_non_null(*(char **)s);
    fake.n_cancelled++;
}

void sluice_trim(struct sluice *s)
{
    assert_non_null(*(char **)s);
    fake.n_trimmed++;
}

void __wrap_sl_log(enum sl_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void __wrap_sl_log(enum sl_log_level level, const char *fmt, ...)
{
    size_t len = strlen(fake.logged);
    va_list ap;
    if (level != SL_LOG_WARN && level != SL_LOG_INFO)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(fake.logged + len, sizeof(fake.logged) - len, fmt, ap);
    va_end(ap);
    strncat(fake.logged, "\n", sizeof(fake.logged) - strlen(fake.logged) - 1);
}

/* ---- configurations ---- */

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

/* With the offline broker unless toml names one. */
static struct sl_loaded_config *load(const char *toml)
{
    const char *broker = strstr(toml, "[kbc]") ? "" : "kbc.name = 'offline_fs_kbc'\n";
    struct sl_loaded_config *config = NULL;
    struct sl_error err = {0};
    char *file = NULL;
    assert_true(asprintf(&file, "%s%s", broker, toml) > 0);
    const struct sl_config_texts texts = {
        .file = sl_span_of(file), .file_name = "cdh.toml", .environment = no_environment};
    assert_done(sl_config_load_texts(&texts, &config, &err));
    free(file);
    return config;
}

/* Takes the configuration. */
static struct sl_backend *begin_with(struct sl_loaded_config *config)
{
    struct sl_backend *backend = NULL;
    struct sl_error err = {0};
    assert_done(sl_backend_new(&config, &backend, &err));
    assert_null(config);
    return backend;
}

static struct sl_backend *begin(const char *toml)
{
    return begin_with(load(toml));
}

static struct sl_generation *hold(struct sl_backend *backend)
{
    struct sl_generation *g = NULL;
    struct sl_error err = {0};
    assert_done(sl_backend_hold(backend, &g, &err));
    assert_non_null(*(char **)g->sluice);
    return g;
}

static void reload(struct sl_backend *backend, const char *toml)
{
    SL_AUTO(sl_loaded_config) config = load(toml);
    struct sl_error err = {0};
    assert_done(sl_backend_reload(backend, &config, &err));
    assert_null(config);
}

static int begin_test(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    return 0;
}

/* What was opened was closed. */
static void finish(struct sl_backend *backend)
{
    (void)sl_backend_free(backend);
    assert_int_equal(fake.n_closed, fake.n_opened);
}

/* ---- what a pull is told ---- */

#define POLICY "image_security_policy = '{\"default\":[{\"type\":\"reject\"}]}'\n"

static void expect_policy(struct sl_loaded_config *config, bool insecure, const char *policy,
                          const char *text)
{
    SL_AUTO(sl_backend) backend = begin_with(config);
    struct sl_generation *g = sl_backend_hold_config(backend);
    const struct sluice_policy_options *p = g->pull.policy;
    assert_int_equal(p->size, sizeof(*p));
    assert_int_equal(p->insecure, insecure);
    assert_int_equal(!p->policy, !policy);
    assert_int_equal(!p->policy_text, !text);
    if (policy)
        assert_string_equal(p->policy, policy);
    if (text)
        assert_non_null(strstr(p->policy_text, text));
    sl_backend_release_config(backend, g);
}

static void policy_is_insecure_only_where_nothing_was_said(void **state)
{
    (void)state;
    struct sl_loaded_config *signed_only = load(""), *pinned = load("");
    expect_policy(load(""), true, NULL, NULL);
    expect_policy(load("[image]\n" POLICY), false, NULL, "reject");
    expect_policy(load("[image]\nimage_security_policy_uri = 'kbs:///a/b/c'"), false,
                  "kbs:///a/b/c", NULL);
    expect_policy(load("[image]\n" POLICY "image_security_policy_uri = 'kbs:///a/b/c'"), false,
                  "kbs:///a/b/c", NULL);
    /* The reader of the configuration lets neither pass without a policy. */
    signed_only->values.require_signed = true;
    expect_policy(signed_only, false, NULL, NULL);
    pinned->values.policy_digest = strdup("sha256:0");
    expect_policy(pinned, false, NULL, NULL);
}

static void policy_goes_on_with_all_that_belongs_to_it(void **state)
{
    (void)state;
    SL_AUTO(sl_backend) backend =
        begin("[image]\n" POLICY "sigstore_config = 'docker: {}'\n"
              "[sluice]\nrequire_signed = true\npolicy_dialect = 'containers'\npolicy_digest = "
              "'sha256:0000000000000000000000000000000000000000000000000000000000000001'\n");
    struct sl_generation *g = sl_backend_hold_config(backend);
    const struct sluice_policy_options *p = g->pull.policy;
    assert_true(p->require_signed);
    assert_false(p->compat_image_rs);
    assert_non_null(strstr(p->policy_digest, "0001"));
    assert_string_equal(p->registries_d_text, "docker: {}");
    assert_null(p->registries_d);
    sl_backend_release_config(backend, g);
    reload(backend, "[image]\n" POLICY "sigstore_config = 'docker: {}'\n"
                    "sigstore_config_uri = 'kbs:///d/e/f'\n");
    g = sl_backend_hold_config(backend);
    p = g->pull.policy;
    assert_true(p->compat_image_rs);
    assert_false(p->require_signed);
    assert_string_equal(p->registries_d, "kbs:///d/e/f");
    assert_null(p->registries_d_text);
    sl_backend_release_config(backend, g);
}

static void policy_that_is_missing_is_told_unless_it_must_be_there(void **state)
{
    (void)state;
    SL_AUTO(sl_backend) backend = begin("");
    assert_non_null(strstr(fake.logged, "NO IMAGE POLICY"));
    fake.logged[0] = 0;
    reload(backend, "[image]\n" POLICY);
    reload(backend, "[sluice]\nrequire_policy = true");
    assert_string_equal(fake.logged, "");
}

static void policy_that_must_be_there_and_is_not_ends_pulls_before_anything_is_opened(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_generation *g = NULL;
    struct sl_backend *backend = begin("[sluice]\nrequire_policy = true");
    assert_error(sl_backend_hold(backend, &g, &err), EPERM, SL_E_POLICY, "require_policy");
    assert_int_equal(fake.n_opened, 0);
    reload(backend, "[image]\n" POLICY "[sluice]\nrequire_policy = true");
    sl_backend_release(backend, hold(backend));
    finish(backend);
}

static void expect_kbc(const char *toml, const char *kbc)
{
    SL_AUTO(sl_backend) backend = begin(toml);
    struct sl_generation *g = sl_backend_hold_config(backend);
    assert_int_equal(!g->pull.keys->kbc, !kbc);
    if (kbc)
        assert_string_equal(g->pull.keys->kbc, kbc);
    sl_backend_release_config(backend, g);
}

static void broker_is_one_that_somebody_speaks(void **state)
{
    (void)state;
    expect_kbc("", "offline_fs_kbc::null");
    expect_kbc("[kbc]\nname = 'cc_kbc'\nurl = 'http://kbs:8080'", NULL);
    expect_kbc("[kbc]\nname = 'cc_kbc'\nurl = 'http://kbs:8080'\n"
               "[sluice]\nupstream = 'unix:///u'",
               "cc_kbc::http://kbs:8080");
    expect_kbc("[kbc]\nname = 'cc_kbc'\nurl = ''\n[sluice]\nupstream = 'unix:///u'",
               "cc_kbc::null");
    expect_kbc("[kbc]\nname = 'sample_kbc'", NULL);
    expect_kbc("[kbc]\nname = 'sample_kbc'\n[sluice]\nunsafe_sample_key = true",
               "sample_kbc::null");
}

static void options_are_those_of_the_configuration(void **state)
{
    (void)state;
    struct sl_backend *backend =
        begin("[image]\nwork_dir = '/tmp'\nmax_concurrent_layer_downloads_per_image = 5\n"
              "authenticated_registry_credentials_uri = 'kbs:///a/b/auth'\n"
              "registry_configuration_uri = 'kbs:///a/b/rules'\n"
              "[image.image_pull_proxy]\nhttps_proxy = 'http://s:1'\nhttp_proxy = 'http://p:2'\n"
              "no_proxy = 'none'\n"
              "[sluice]\nmemory = '16M'\nworkers = 3\nverify_first = true\n"
              "encryption_policy = '/e'\noffline_keys = '/k'\noffline_resources = '/r'\n"
              "key_providers = '/p'\npgp_home = '/g'\nallow_a256ctr = true\nkey_timeout_s = 7\n"
              "upstream = 'unix:///u'\n");
    struct sl_generation *g = hold(backend);
    assert_string_equal(*(char **)g->sluice, "/tmp");
    assert_int_equal(fake.memory, 16 << 20);
    assert_int_equal(fake.threads, 3);
    assert_int_equal(g->pull.jobs, 5);
    assert_true(g->pull.verify_first);
    assert_string_equal(g->pull.encryption_policy, "/e");
    assert_ptr_equal(fake.broker, g->pull.keys);
    assert_string_equal(fake.broker->offline_keys, "/k");
    assert_string_equal(fake.broker->offline_resources, "/r");
    assert_string_equal(fake.broker->key_providers, "/p");
    assert_string_equal(fake.broker->pgp_home, "/g");
    assert_string_equal(fake.broker->upstream, "unix:///u");
    assert_true(fake.broker->allow_a256ctr);
    assert_false(fake.broker->unsafe_sample_key);
    assert_int_equal(fake.broker->timeout_s, 7);
    assert_string_equal(fake.registry->authfile, "kbs:///a/b/auth");
    assert_string_equal(fake.registry->registries_conf, "kbs:///a/b/rules");
    assert_null(fake.registry->registries_conf_text);
    assert_string_equal(fake.registry->https_proxy, "http://s:1");
    assert_string_equal(fake.registry->http_proxy, "http://p:2");
    assert_string_equal(fake.registry->no_proxy, "none");
    sl_backend_release(backend, g);
    reload(backend, "[image]\nwork_dir = '/tmp'\nregistry_configuration_uri = 'kbs:///a/b/rules'\n"
                    "[image.registry_config]\nregistry = []");
    assert_null(fake.registry->registries_conf);
    assert_non_null(strstr(fake.registry->registries_conf_text, "registry"));
    assert_null(fake.registry->https_proxy);
    finish(backend);
}

/* ---- the engine ---- */

static void engine_is_opened_by_the_first_who_needs_it(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_generation *g = NULL;
    struct sl_backend *backend = begin("[image]\nwork_dir = '/tmp'");
    assert_null(sl_backend_peek(backend));
    fake.must_fail = true;
    assert_error(sl_backend_hold(backend, &g, &err), EIO, SL_E_NETWORK, "as the test says");
    fake.must_fail = false;
    g = hold(backend);
    struct sl_generation *other = hold(backend), *third = sl_backend_peek(backend);
    assert_ptr_equal(other->sluice, g->sluice);
    assert_ptr_equal(third->sluice, g->sluice);
    assert_int_equal(fake.n_opened, 1);
    sl_backend_release(backend, third);
    sl_backend_release(backend, other);
    sl_backend_release(backend, g);
    finish(backend);
}

static void memory_goes_back_where_an_engine_is_open(void **state)
{
    (void)state;
    struct sl_backend *backend = begin("[image]\nwork_dir = '/tmp'");
    sl_backend_trim(backend);
    assert_int_equal(fake.n_trimmed, 0);
    sl_backend_release(backend, hold(backend));
    assert_int_equal(fake.n_trimmed, 0); /* nobody's answer waits for it */
    sl_backend_trim(backend);
    assert_int_equal(fake.n_trimmed, 1);
    finish(backend);
}

/* Another folder by the same name is another store, as another file system would be. */
static void replace_folder(const char *path)
{
    char *aside = NULL;
    assert_true(asprintf(&aside, "%s.old", path) > 0);
    assert_int_equal(rename(path, aside), 0); /* it keeps its number */
    assert_int_equal(mkdir(path, 0700), 0);
    free(aside);
}

static void store_that_was_replaced_is_opened_anew_once_nobody_uses_the_old_one(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    char *root = scratch_path(&dir, "store"), *toml = NULL;
    assert_int_equal(mkdir(root, 0700), 0);
    assert_true(asprintf(&toml, "[image]\nwork_dir = '%s'\n", root) > 0);
    struct sl_backend *backend = begin(toml);
    struct sl_generation *a = hold(backend);
    struct sluice *first = a->sluice;
    replace_folder(root);
    struct sl_generation *b = hold(backend);
    assert_ptr_equal(b->sluice, first);
    sl_backend_release(backend, a);
    sl_backend_release(backend, b);
    a = hold(backend);
    assert_ptr_not_equal(a->sluice, first);
    assert_int_equal(fake.n_opened, 2);
    assert_int_equal(fake.n_closed, 1);
    assert_non_null(strstr(fake.logged, "another file system has been mounted"));
    sl_backend_release(backend, a);
    fake.logged[0] = 0;
    sl_backend_release(backend, hold(backend));
    assert_int_equal(fake.n_opened, 2);
    assert_string_equal(fake.logged, "");
    assert_int_equal(rmdir(root), 0);
    sl_backend_release(backend, hold(backend));
    assert_int_equal(fake.n_opened, 3);
    finish(backend);
    free(toml);
    free(root);
}

static void cancelling_also_ends_what_is_being_opened(void **state)
{
    (void)state;
    struct sl_backend *backend = begin("[image]\nwork_dir = '/tmp'");
    fake.cancelled = backend;
    sl_backend_release(backend, hold(backend));
    assert_int_equal(fake.n_cancelled, 1);
    sl_backend_cancel(backend);
    assert_int_equal(fake.n_cancelled, 2);
    sl_backend_release(backend, hold(backend)); /* what is open may be held */
    finish(backend);
}

/* Each would ask the broker, one after the other. */
static void nothing_is_opened_once_all_is_cancelled(void **state)
{
    (void)state;
    struct sl_backend *backend = begin("[image]\nwork_dir = '/tmp'");
    struct sl_generation *g = NULL;
    struct sl_error err = {0};
    sl_backend_cancel(backend);
    assert_int_equal(sl_backend_hold(backend, &g, &err), -ESHUTDOWN);
    assert_int_equal(err.code, SL_E_CANCELLED);
    assert_int_equal(fake.n_opened, 0);
    finish(backend);
}

/* ---- another configuration ---- */

static void reload_leaves_those_alone_who_hold_the_old_one(void **state)
{
    (void)state;
    struct sl_backend *backend = begin("[image]\nwork_dir = '/tmp'\n[sluice]\npgp_home = '/old'");
    reload(backend, "[image]\nwork_dir = '/tmp'\n[sluice]\npgp_home = '/old'");
    assert_int_equal(fake.n_reloaded, 0); /* not open yet */
    struct sl_generation *a = hold(backend), *config = sl_backend_hold_config(backend);
    reload(backend, "[image]\nwork_dir = '/tmp'\n[sluice]\npgp_home = '/new'");
    assert_int_equal(fake.n_reloaded, 1);
    struct sl_generation *b = hold(backend);
    assert_int_equal(a->number, 2);
    assert_int_equal(b->number, 3);
    assert_int_equal(sl_backend_number(backend), 3);
    assert_string_equal(fake.broker->pgp_home, "/new");
    assert_string_equal(a->pull.keys->pgp_home, "/old");
    assert_string_equal(config->config->pgp_home, "/old");
    assert_string_equal(sl_backend_config(backend)->pgp_home, "/new");
    assert_ptr_equal(a->sluice, b->sluice);
    sl_backend_release(backend, a);
    assert_string_equal(config->config->pgp_home, "/old");
    sl_backend_release_config(backend, config);
    sl_backend_release(backend, b);
    finish(backend);
}

static void expect_no_reload(struct sl_backend *backend, const char *toml, int errnum,
                             enum sl_errc code, const char *part)
{
    SL_AUTO(sl_loaded_config) config = load(toml);
    struct sl_error err = {0};
    assert_error(sl_backend_reload(backend, &config, &err), errnum, code, part);
    assert_int_equal(sl_backend_number(backend), 1);
    assert_string_equal(sl_backend_config(backend)->pgp_home, "/old");
}

static void reload_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct sl_backend *backend = begin("[image]\nwork_dir = '/tmp'\n[sluice]\npgp_home = '/old'");
    struct sl_generation *a = hold(backend);
    fake.must_fail = true;
    expect_no_reload(backend, "[image]\nwork_dir = '/tmp'", EIO, SL_E_NETWORK, "as the test says");
    fake.must_fail = false;
    assert_int_equal(fake.n_reloaded, 0);
    sl_backend_release(backend, a);
    finish(backend);
}

static void reload_tells_of_what_waits_for_the_next_start(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"socket", "socket = 'unix:///other'"},
        {"image.work_dir", "[image]\nwork_dir = '/other'"},
        {"sluice.listen", "[sluice]\nlisten = ['unix:///l']"},
        {"sluice.control", "[sluice]\ncontrol = ''"},
        {"sluice.metrics", "[sluice]\nmetrics = 'unix:///m'"},
        {"sluice.memory", "[sluice]\nmemory = '16M'"},
        {"sluice.workers", "[sluice]\nworkers = 3"},
        {"sluice.pulls", "[sluice]\npulls = 3"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char want[128];
        SL_AUTO(sl_backend) backend = begin("[sluice]\nkeep = 'mounted'");
        fake.logged[0] = 0;
        reload(backend, changes[i][1]);
        (void)snprintf(want, sizeof(want), "\n%s has changed: that takes effect", changes[i][0]);
        const char *first = strstr(fake.logged, "has changed");
        if (!strstr(fake.logged, want) || strstr(first + 1, "has changed"))
            fail_msg("%s: '%s'", want, fake.logged);
    }
}

static void reload_sees_lists_that_are_longer_and_shorter(void **state)
{
    (void)state;
    static const char one[] = "[sluice]\nlisten = ['unix:///a']";
    static const char two[] = "[sluice]\nlisten = ['unix:///a', 'unix:///b']";
    SL_AUTO(sl_backend) backend = begin(one);
    reload(backend, one);
    assert_null(strstr(fake.logged, "has changed"));
    reload(backend, two);
    assert_non_null(strstr(fake.logged, "has changed"));
    fake.logged[0] = 0;
    reload(backend, one);
    assert_non_null(strstr(fake.logged, "has changed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(policy_is_insecure_only_where_nothing_was_said, begin_test),
        cmocka_unit_test_setup(policy_goes_on_with_all_that_belongs_to_it, begin_test),
        cmocka_unit_test_setup(policy_that_is_missing_is_told_unless_it_must_be_there, begin_test),
        cmocka_unit_test_setup(
            policy_that_must_be_there_and_is_not_ends_pulls_before_anything_is_opened, begin_test),
        cmocka_unit_test_setup(broker_is_one_that_somebody_speaks, begin_test),
        cmocka_unit_test_setup(options_are_those_of_the_configuration, begin_test),
        cmocka_unit_test_setup(engine_is_opened_by_the_first_who_needs_it, begin_test),
        cmocka_unit_test_setup(memory_goes_back_where_an_engine_is_open, begin_test),
        cmocka_unit_test_setup(store_that_was_replaced_is_opened_anew_once_nobody_uses_the_old_one,
                               begin_test),
        cmocka_unit_test_setup(cancelling_also_ends_what_is_being_opened, begin_test),
        cmocka_unit_test_setup(nothing_is_opened_once_all_is_cancelled, begin_test),
        cmocka_unit_test_setup(reload_leaves_those_alone_who_hold_the_old_one, begin_test),
        cmocka_unit_test_setup(reload_that_fails_changes_nothing, begin_test),
        cmocka_unit_test_setup(reload_tells_of_what_waits_for_the_next_start, begin_test),
        cmocka_unit_test_setup(reload_sees_lists_that_are_longer_and_shorter, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
