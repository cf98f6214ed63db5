/* SPDX-License-Identifier: Apache-2.0 */
/* Providers that are programs are shell scripts here; those on the wire are a function. */
#include "sluice/key_provider.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 16, DEADLINE_MS = 10000 };

#define ANSWER "{\"keyunwrapresults\":{\"optsdata\":\"cGxiY28=\"}}" /* plbco */

/* One provider "kp" that runs a shell script in dir. */
static struct sl_providers *scripted(const struct scratch_dir *dir, const char *script)
{
    SL_AUTO_FREE char *json =
        sl_strf("{\"key-providers\":{\"kp\":{\"cmd\":{\"path\":\"sh\",\"args\":"
                "[\"-c\",\"cd %s || exit 9; . ./kp.sh\"]}}}}",
                dir->path);
    struct sl_providers *providers = NULL;
    struct sl_error err = {0};
    scratch_write(dir, "kp.sh", script, 0700);
    assert_done(sl_providers_parse(sl_span_of(json), &providers, &err));
    sl_providers_set_call(providers, NULL, NULL, DEADLINE_MS);
    return providers;
}

static int unwrap(struct sl_providers *providers, struct sl_bytes *ret, struct sl_error *err)
{
    return sl_providers_unwrap(providers, "kp", NULL, sl_span_of("element"), ret, err);
}

static void assert_file(const struct scratch_dir *dir, const char *name, const char *want)
{
    SL_AUTO_FREE char *path = scratch_path(dir, name);
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_error err = {0};
    assert_done(sl_read_file(-1, path, 1 << 20, &text, &err));
    assert_string_equal((const char *)text.data, want);
}

/* ---- commands ---- */

static void cmd_gets_the_request_and_its_answer_is_kept(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO(sl_providers)
    providers = scripted(&dir, "cat > request; echo x >> calls; echo '" ANSWER "'\n");
    struct sl_error err = {0};
    for (int i = 0; i < 3; i++) {
        SL_AUTO_DONE(sl_bytes) plbco = {0};
        assert_done(unwrap(providers, &plbco, &err));
        assert_string_equal((const char *)plbco.data, "plbco");
    }
    assert_file(&dir, "calls", "x\n");
    assert_file(
        &dir, "request",
        "{\"op\":\"keyunwrap\",\"keywrapparams\":{\"ec\":null,\"optsdata\":null},"
        "\"keyunwrapparams\":{\"dc\":{\"Parameters\":{}},\"annotation\":\"ZWxlbWVudA==\"}}");
}

static void cmd_is_asked_again_for_other_elements_and_params(void **state)
{
    (void)state;
    static const struct {
        const char *params, *element;
    } asks[] = {
        {NULL, "element"}, {"", "element"}, {"p", "element"}, {"p", "elements"}, {NULL, ""}};
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO(sl_providers)
    providers = scripted(&dir, "cat > /dev/null; echo x >> calls; echo '" ANSWER "'\n");
    struct sl_error err = {0};
    for (size_t i = 0; i < 2 * sizeof(asks) / sizeof(asks[0]); i++) {
        SL_AUTO_DONE(sl_bytes) plbco = {0};
        assert_done(sl_providers_unwrap(providers, "kp", asks[i / 2].params,
                                        sl_span_of(asks[i / 2].element), &plbco, &err));
    }
    assert_file(&dir, "calls", "x\nx\nx\nx\nx\n");
}

static void cmd_wraps_afresh_each_time(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO(sl_providers)
    providers = scripted(&dir, "cat > request; echo x >> calls\n"
                               "echo '{\"keywrapresults\":{\"annotation\":[119,114]}}'\n");
    struct sl_error err = {0};
    for (int i = 0; i < 2; i++) {
        SL_AUTO_DONE(sl_bytes) element = {0};
        assert_done(sl_providers_wrap(providers, "kp", "a=b", sl_span_of("plbco"), &element, &err));
        assert_string_equal((const char *)element.data, "wr");
    }
    assert_file(&dir, "calls", "x\nx\n");
    assert_file(&dir, "request",
                "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"kp\":[\"YT1i\"]},"
                "\"DecryptConfig\":{\"Parameters\":{}}},\"optsdata\":\"cGxiY28=\"},"
                "\"keyunwrapparams\":{\"dc\":null,\"annotation\":null}}");
}

static void cmd_that_fails_is_told_with_its_last_words(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int errnum;
        enum sl_errc code;
        const char *message;
    } cases[] = {
        {"echo first >&2; printf 'no \\033[1m such\\tkey \\n\\n' >&2; echo SECRET; exit 3\n",
         EKEYREJECTED, SL_E_AUTH,
         "key provider kp refused: sh ended with status 3: no ?[1m such key"},
        {"exit 1\n", EKEYREJECTED, SL_E_AUTH, "key provider kp refused: sh ended with status 1"},
        {"echo 'key MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MTI= in [83, 69, 67]' >&2; exit 1\n",
         EKEYREJECTED, SL_E_AUTH, "status 1: key ... in ..."},
        {"echo 'no kbs:///default/key/key_id1: gone' >&2; exit 1\n", EKEYREJECTED, SL_E_AUTH,
         "status 1: no kbs:///default/key/key_id1: gone"},
        /* Cut inside of the key. */
        {"head -c 4090 /dev/zero | tr '\\0' ' ' >&2; echo SECRET >&2; exit 1\n", EKEYREJECTED,
         SL_E_AUTH, "status 1: ..."},
        {"echo '" ANSWER "'; exit 1\n", EKEYREJECTED, SL_E_AUTH, "ended with status 1"},
        {"kill -9 $$\n", ECONNRESET, SL_E_NETWORK, "key provider kp: sh died of signal 9"},
        {"echo SECRET\n", EBADMSG, SL_E_FORMAT,
         "key provider kp: the key provider's answer: not valid JSON"},
        {"true\n", EBADMSG, SL_E_FORMAT, "not valid JSON"},
        {"echo '{\"keywrapresults\":{\"annotation\":\"eHk=\"}}'\n", EBADMSG, SL_E_FORMAT,
         "keyunwrapresults: 'optsdata' is neither"},
        {"yes SECRET\n", E2BIG, SL_E_FORMAT, "key provider kp: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SCRATCH_DIR dir = scratch_make();
        SL_AUTO(sl_providers) providers = scripted(&dir, cases[i].script);
        struct sl_error err = {0};
        struct sl_bytes plbco = {0};
        assert_error(unwrap(providers, &plbco, &err), cases[i].errnum, cases[i].code,
                     cases[i].message);
        assert_null(strstr(err.msg, "SECRET"));
        assert_null(strstr(err.msg, "first"));
        assert_null(plbco.data);
    }
}

static void cmd_that_hangs_ends_at_the_deadline(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO(sl_providers) providers = scripted(&dir, "sleep 60 & wait\n");
    sl_providers_set_call(providers, NULL, NULL, /* deadline_ms= */ 50);
    struct sl_error err = {0};
    struct sl_bytes plbco = {0};
    assert_error(unwrap(providers, &plbco, &err), ETIMEDOUT, SL_E_NETWORK, "key provider kp: ");
}

static void cmd_that_is_missing_is_not_an_unknown_provider(void **state)
{
    (void)state;
    SL_AUTO(sl_providers) providers = NULL;
    struct sl_error err = {0};
    struct sl_bytes plbco = {0};
    const char *json = "{\"key-providers\":{\"kp\":{\"cmd\":{\"path\":\"/nonexistent/kp\"}}}}";
    assert_done(sl_providers_parse(sl_span_of(json), &providers, &err));
    assert_error(unwrap(providers, &plbco, &err), ENXIO, SL_E_NETWORK, "/nonexistent/kp");
    assert_int_equal(unwrap(providers, &plbco, NULL), -ENXIO);
    assert_error(sl_providers_unwrap(providers, "other", NULL, sl_span_of("e"), &plbco, &err),
                 ENOENT, SL_E_AUTH, "key provider other is not configured");
    assert_error(sl_providers_wrap(providers, "other", NULL, sl_span_of("e"), &plbco, &err), ENOENT,
                 SL_E_AUTH, "key provider other is not configured");
}

/* ---- the wire ---- */

struct wire {
    atomic_int called, arrived;
    int wait_for;
    int failure;         /* errno */
    const char *refusal; /* text of a status */
    enum sl_provider_transport transport;
    bool is_unwrap;
    int deadline_ms;
};

static int call(void *arg, const struct sl_provider *provider, bool is_unwrap,
                struct sl_span request, int deadline_ms, struct sl_bytes *ret, struct sl_error *err)
{
    struct wire *w = arg;
    w->transport = provider->transport;
    w->is_unwrap = is_unwrap;
    w->deadline_ms = deadline_ms;
    atomic_fetch_add(&w->called, 1);
    while (atomic_load(&w->arrived) < w->wait_for)
        ;
    assert_non_null(memmem(request.data, request.len, is_unwrap ? "keyunwrap" : "keywrap", 7));
    if (w->refusal)
        return sl_error_set(err, SL_E_AUTH, EPROTO, "%s", w->refusal);
    if (w->failure)
        return sl_error_set(err, SL_E_SYSTEM, w->failure, "no socket");
    return sl_bytes_append(ret, sl_span_of(ANSWER), 4096, err);
}

static struct sl_providers *wired(const char *how, struct wire *w)
{
    SL_AUTO_FREE char *json = sl_strf("{\"key-providers\":{\"kp\":{\"%s\":\"target\"}}}", how);
    struct sl_providers *providers = NULL;
    struct sl_error err = {0};
    assert_done(sl_providers_parse(sl_span_of(json), &providers, &err));
    if (w)
        sl_providers_set_call(providers, call, w, 1234);
    return providers;
}

static void wire_is_called_with_the_provider_and_the_deadline(void **state)
{
    (void)state;
    static const char *const names[] = {[SL_PROVIDER_GRPC] = "grpc", [SL_PROVIDER_TTRPC] = "ttrpc"};
    for (int i = SL_PROVIDER_GRPC; i <= SL_PROVIDER_TTRPC; i++) {
        struct wire w = {0};
        SL_AUTO(sl_providers) providers = wired(names[i], &w);
        SL_AUTO_DONE(sl_bytes) plbco = {0};
        struct sl_bytes element = {0};
        struct sl_error err = {0};
        assert_done(unwrap(providers, &plbco, &err));
        assert_string_equal((const char *)plbco.data, "plbco");
        assert_int_equal((int)w.transport, i);
        assert_int_equal(w.deadline_ms, 1234);
        assert_true(w.is_unwrap);
        assert_error(sl_providers_wrap(providers, "kp", "p", sl_span_of("x"), &element, &err),
                     EBADMSG, SL_E_FORMAT, "keywrapresults: 'annotation' is neither");
        assert_false(w.is_unwrap);
    }
}

static void wire_that_is_missing_or_fails_is_told(void **state)
{
    (void)state;
    struct wire w = {.failure = ENOENT};
    SL_AUTO(sl_providers) unwired = wired("grpc", NULL);
    SL_AUTO(sl_providers) failing = wired("grpc", &w);
    struct sl_error err = {0};
    struct sl_bytes plbco = {0};
    assert_error(unwrap(unwired, &plbco, &err), EOPNOTSUPP, SL_E_UNSUPPORTED,
                 "key provider kp: only commands");
    for (int i = 0; i < 2; i++)
        assert_error(unwrap(failing, &plbco, &err), ENXIO, SL_E_NETWORK,
                     "key provider kp: no socket");
    assert_int_equal(w.called, 2);
}

static void wire_that_is_silent_is_left_alone_for_a_while(void **state)
{
    (void)state;
    enum { HOUR_MS = 60 * 60 * 1000 };
    struct wire w = {.failure = ETIMEDOUT};
    SL_AUTO(sl_providers) providers = wired("grpc", &w);
    struct sl_error err = {0};
    struct sl_bytes plbco = {0};
    sl_providers_set_call(providers, call, &w, HOUR_MS);
    assert_error(unwrap(providers, &plbco, &err), ETIMEDOUT, SL_E_NETWORK, "no socket");
    assert_error(sl_providers_unwrap(providers, "kp", NULL, sl_span_of("other"), &plbco, &err),
                 ETIMEDOUT, SL_E_NETWORK, "kp did not answer before and is not asked again");
    assert_int_equal(w.called, 1);
    SL_AUTO(sl_providers) soon = wired("grpc", &w);
    sl_providers_set_call(soon, call, &w, 1);
    while (w.called < 3)
        assert_int_equal(unwrap(soon, &plbco, &err), -ETIMEDOUT);
}

static void wire_that_refuses_is_told_without_keys(void **state)
{
    (void)state;
    static const char key[] =
        "no: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MTI= [1, 2] at kbs:///a/b/c";
    char cut[2 * SL_ERROR_MSG_MAX];
    memset(cut, ' ', sizeof(cut));
    memcpy(cut, "no", 2);
    (void)strcpy(cut + SL_ERROR_MSG_MAX - 7, "SECRETS");
    const struct {
        const char *refusal, *message;
    } cases[] = {{key, "key provider kp: no: ... at kbs:///a/b/c"},
                 {cut, "key provider kp: no ..."}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire w = {.refusal = cases[i].refusal};
        SL_AUTO(sl_providers) providers = wired("ttrpc", &w);
        struct sl_error err = {0};
        struct sl_bytes plbco = {0};
        assert_error(unwrap(providers, &plbco, &err), EPROTO, SL_E_AUTH, cases[i].message);
        assert_null(strstr(err.msg, "SECRET"));
        assert_null(memmem(err.msg, sizeof(err.msg), "MDEy", 4));
        assert_int_equal(unwrap(providers, &plbco, NULL), -EPROTO);
    }
}

struct asker {
    pthread_t thread;
    struct sl_providers *providers;
    struct wire *wire;
    int result;
    struct sl_bytes plbco;
};

static void *run_asker(void *arg)
{
    struct asker *a = arg;
    atomic_fetch_add(&a->wire->arrived, 1);
    a->result = unwrap(a->providers, &a->plbco, NULL);
    return NULL;
}

static void wire_is_asked_once_by_many_threads(void **state)
{
    (void)state;
    struct wire w = {.wait_for = THREADS};
    SL_AUTO(sl_providers) providers = wired("ttrpc", &w);
    struct asker askers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.providers = providers, .wire = &w};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].result, 0);
        assert_string_equal((const char *)askers[i].plbco.data, "plbco");
        sl_bytes_wipe(&askers[i].plbco);
    }
    assert_int_equal(w.called, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cmd_gets_the_request_and_its_answer_is_kept),
        cmocka_unit_test(cmd_is_asked_again_for_other_elements_and_params),
        cmocka_unit_test(cmd_wraps_afresh_each_time),
        cmocka_unit_test(cmd_that_fails_is_told_with_its_last_words),
        cmocka_unit_test(cmd_that_hangs_ends_at_the_deadline),
        cmocka_unit_test(cmd_that_is_missing_is_not_an_unknown_provider),
        cmocka_unit_test(wire_is_called_with_the_provider_and_the_deadline),
        cmocka_unit_test(wire_that_is_missing_or_fails_is_told),
        cmocka_unit_test(wire_that_is_silent_is_left_alone_for_a_while),
        cmocka_unit_test(wire_that_refuses_is_told_without_keys),
        cmocka_unit_test(wire_is_asked_once_by_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
