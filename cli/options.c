/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "sluice/resource.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
#define OPTION(id, name, arg, verbs, help) OPT_##id,
#include "options.def"
#undef OPTION
    N_OPTIONS,
};

static const struct {
    const char *name, *arg;
    unsigned verbs;
} table[] = {
#define OPTION(id, name, arg, verbs, help) [OPT_##id] = {name, arg, (unsigned)(verbs)},
#include "options.def"
#undef OPTION
};

/* ---- values ---- */

static int parse_bool(const char *name, const char *text, bool *ret, struct sl_error *err)
{
    if (!text || strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *ret = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *ret = false;
    else
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "--%s: '%s' is neither true nor false", name,
                            text);
    return 0;
}

static int parse_count(const char *name, const char *text, unsigned max, unsigned *ret,
                       struct sl_error *err)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || v == 0 || v > max)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "--%s: '%s' is not a number from 1 to %u",
                            name, text, max);
    *ret = (unsigned)v;
    return 0;
}

/* "64M", "1G", "65536k", "1000000" */
static int parse_size(const char *name, const char *text, size_t *ret, struct sl_error *err)
{
    static const char units[] = "kmg";
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    bool ok = errno == 0 && end != text && *text != '-';
    unsigned shift = 0;
    if (ok && *end) {
        const char *unit = strchr(units, *end | 0x20);
        ok = unit && end[1] == 0;
        shift = ok ? 10 * ((unsigned)(unit - units) + 1) : 0;
    }
    if (!ok || v == 0 || v > (SIZE_MAX >> 1) >> shift)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "--%s: '%s' is not a size such as 64M", name,
                            text);
    *ret = (size_t)v << shift;
    return 0;
}

static int parse_layer(const char *text, int *ret, struct sl_error *err)
{
    enum { LAYER_MAX = 100000 }; /* far above what an image can have */
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || *end || end == text || v < -LAYER_MAX || v > LAYER_MAX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "--encrypt-layer: '%s' is not the number of a layer", text);
    *ret = (int)v;
    return 0;
}

static int add_layer(struct cli_options *o, const char *text, struct sl_error *err)
{
    int layer = 0;
    int r = parse_layer(text, &layer, err);
    if (r < 0)
        return r;
    int *longer = realloc(o->encrypt_layers, (o->n_encrypt_layers + 1) * sizeof(*longer));
    if (!longer)
        return sl_error_oom(err);
    longer[o->n_encrypt_layers++] = layer;
    o->encrypt_layers = longer;
    return 0;
}

static int add_word(const char ***list, const char *word, struct sl_error *err)
{
    size_t n = 0;
    while (*list && (*list)[n])
        n++;
    const char **longer = realloc(*list, (n + 2) * sizeof(*longer));
    if (!longer)
        return sl_error_oom(err);
    longer[n] = word;
    longer[n + 1] = NULL;
    *list = longer;
    return 0;
}

static int set_tls_verify(const char *name, struct sluice_registry_options *registry,
                          const char *arg, struct sl_error *err)
{
    bool verify = false;
    int r = parse_bool(name, arg, &verify, err);
    if (r < 0)
        return r;
    registry->tls = verify ? SLUICE_TLS_VERIFY : SLUICE_TLS_INSECURE;
    return 0;
}

static int set_policy_compat(struct cli_options *o, const char *arg, struct sl_error *err)
{
    if (strcmp(arg, "image-rs") != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "--policy-compat: '%s' is not image-rs", arg);
    o->policy.compat_image_rs = true;
    return 0;
}

static int set_sign_form(struct cli_options *o, const char *arg, struct sl_error *err)
{
    if (strcmp(arg, "sig") == 0)
        o->sign_forms |= SLUICE_SIGN_COSIGN;
    else if (strcmp(arg, "bundle") == 0)
        o->sign_forms |= SLUICE_SIGN_BUNDLE;
    else
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "--format: '%s' is neither sig nor bundle",
                            arg);
    return 0;
}

/* Options that only store a word or raise a flag. */
static bool set_simple(struct cli_options *o, enum option_id id, char *arg)
{
    const struct {
        const char **word;
        bool *flag;
    } simple[N_OPTIONS] = {
        [OPT_ROOT] = {.word = &o->root},
        [OPT_AUTHFILE] = {.word = &o->registry.authfile},
        [OPT_CREDS] = {.word = &o->registry.creds},
        [OPT_CERT_DIR] = {.word = &o->registry.cert_dir},
        [OPT_REGISTRIES_CONF] = {.word = &o->registry.registries_conf},
        [OPT_OVERRIDE_ARCH] = {.word = &o->platform.architecture},
        [OPT_OVERRIDE_OS] = {.word = &o->platform.os},
        [OPT_OVERRIDE_VARIANT] = {.word = &o->platform.variant},
        [OPT_SRC_AUTHFILE] = {.word = &o->source_registry.authfile},
        [OPT_SRC_CREDS] = {.word = &o->source_registry.creds},
        [OPT_SRC_CERT_DIR] = {.word = &o->source_registry.cert_dir},
        [OPT_DEST_AUTHFILE] = {.word = &o->destination_registry.authfile},
        [OPT_DEST_CREDS] = {.word = &o->destination_registry.creds},
        [OPT_DEST_CERT_DIR] = {.word = &o->destination_registry.cert_dir},
        [OPT_KBC] = {.word = &o->keys.kbc},
        [OPT_OFFLINE_KEYS] = {.word = &o->keys.offline_keys},
        [OPT_OFFLINE_RESOURCES] = {.word = &o->keys.offline_resources},
        [OPT_KEY_PROVIDER_CONFIG] = {.word = &o->keys.key_providers},
        [OPT_PGP_HOME] = {.word = &o->keys.pgp_home},
        [OPT_UNSAFE_SAMPLE_KEY] = {.flag = &o->keys.unsafe_sample_key},
        [OPT_ALLOW_A256CTR] = {.flag = &o->keys.allow_a256ctr},
        [OPT_ENCRYPTION_POLICY] = {.word = &o->encryption_policy},
        [OPT_LISTEN_ANYWHERE] = {.flag = &o->listen_anywhere},
        [OPT_REPOSITORY] = {.word = &o->repository},
        [OPT_POLICY] = {.word = &o->policy.policy},
        [OPT_POLICY_DIGEST] = {.word = &o->policy.policy_digest},
        [OPT_REGISTRIES_D] = {.word = &o->policy.registries_d},
        [OPT_REQUIRE_SIGNED] = {.flag = &o->policy.require_signed},
        [OPT_INSECURE_POLICY] = {.flag = &o->policy.insecure},
        [OPT_KEY] = {.word = &o->sign_key},
        [OPT_GPG_KEY] = {.word = &o->gpg_key},
        [OPT_PASSPHRASE_FILE] = {.word = &o->passphrase_file},
        [OPT_SIGN_IDENTITY] = {.word = &o->sign_identity},
        [OPT_RECURSIVE] = {.flag = &o->recursive},
        [OPT_VERIFY_FIRST] = {.flag = &o->verify_first},
        [OPT_STATS] = {.flag = &o->stats},
        [OPT_TRACE] = {.word = &o->trace},
        [OPT_RAW] = {.flag = &o->raw},
        [OPT_CONFIG] = {.flag = &o->config},
        [OPT_READ_ONLY] = {.flag = &o->read_only},
        [OPT_FORCE] = {.flag = &o->force},
        [OPT_DRY_RUN] = {.flag = &o->dry_run},
        [OPT_STRICT] = {.flag = &o->strict},
        [OPT_SOCKET] = {.word = &o->socket},
        [OPT_WATCH] = {.flag = &o->watch},
        [OPT_JSON] = {.flag = &o->json},
        [OPT_QUIET] = {.flag = &o->quiet},
        [OPT_DEBUG] = {.flag = &o->debug},
        [OPT_HELP] = {.flag = &o->help},
    };
    if (simple[id].word)
        *simple[id].word = arg;
    else if (simple[id].flag)
        *simple[id].flag = true;
    else
        return false;
    return true;
}

static int set_option(struct cli_options *o, enum option_id id, char *arg, struct sl_error *err)
{
    if (set_simple(o, id, arg))
        return 0;
    switch (id) {
    case OPT_TLS_VERIFY:
        return set_tls_verify("tls-verify", &o->registry, arg, err);
    case OPT_SRC_TLS_VERIFY:
        return set_tls_verify("src-tls-verify", &o->source_registry, arg, err);
    case OPT_DEST_TLS_VERIFY:
        return set_tls_verify("dest-tls-verify", &o->destination_registry, arg, err);
    case OPT_DECRYPTION_KEY:
        return add_word(&o->decryption_keys, arg, err);
    case OPT_ENCRYPTION_KEY:
        return add_word(&o->encryption_keys, arg, err);
    case OPT_LISTEN:
        return add_word(&o->listen, arg, err);
    case OPT_ENCRYPT_LAYER:
        return add_layer(o, arg, err);
    case OPT_POLICY_COMPAT:
        return set_policy_compat(o, arg, err);
    case OPT_FORMAT:
        return set_sign_form(o, arg, err);
    case OPT_KEY_TIMEOUT:
        return parse_count("key-timeout", arg, 3600, &o->keys.timeout_s, err);
    case OPT_RETRY:
        return parse_count("retry", arg, 100, &o->registry.max_attempts, err);
    case OPT_NUMBER:
        return parse_count("number", arg, 1000, &o->number, err);
    case OPT_JOBS:
        return parse_count("jobs", arg, 64, &o->jobs, err);
    default: /* OPT_MEMORY: the last of the table that is left */
        return parse_size("memory", arg, &o->memory, err);
    }
}

/* ---- the command line ---- */

static void fill_getopt(const struct cli_verb *verb, struct option longopts[N_OPTIONS + 1])
{
    size_t n = 0;
    for (int id = 0; id < N_OPTIONS; id++) {
        if (!(table[id].verbs & verb->bit))
            continue;
        int has_arg = !table[id].arg                       ? no_argument
                      : strcmp(table[id].arg, "BOOL") == 0 ? optional_argument
                                                           : required_argument;
        longopts[n++] = (struct option){table[id].name, has_arg, NULL, 256 + id};
    }
    longopts[n] = (struct option){0};
}

static int bad_option(const struct cli_verb *verb, int c, const char *what, struct sl_error *err)
{
    if (c == ':')
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s needs an argument; see sluice %s --help",
                            what, verb->name);
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "unknown option %s; see sluice %s --help", what,
                        verb->name);
}

static int parse_all(const struct cli_verb *verb, int argc, char **argv, struct cli_options *o,
                     struct sl_error *err)
{
    struct option longopts[N_OPTIONS + 1];
    fill_getopt(verb, longopts);
    optind = 1;
    const char *letters = verb->bit == VERB_KEYS ? ":hqn:" : ":hq";
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread exists yet */
    for (int c; (c = getopt_long(argc, argv, letters, longopts, NULL)) != -1;) {
        if (c == 'h')
            c = 256 + OPT_HELP;
        if (c == 'q')
            c = 256 + OPT_QUIET;
        if (c == 'n')
            c = 256 + OPT_NUMBER;
        if (c < 256)
            return bad_option(verb, c, argv[optind - 1], err);
        int r = set_option(o, (enum option_id)(c - 256), optarg, err);
        if (r < 0)
            return r;
    }
    o->args = argv + optind;
    o->n_args = argc - optind;
    if (!o->help && (o->n_args < verb->min_args || o->n_args > verb->max_args))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "usage: sluice %s [options] %s", verb->name,
                            verb->arguments);
    return o->help || !verb->check ? 0 : verb->check(o, err);
}

int cli_options_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_options *ret,
                      struct sl_error *err)
{
    struct cli_options o = {
        .registry = SLUICE_OPTIONS(sluice_registry_options),
        .keys = SLUICE_OPTIONS(sluice_key_options),
        .policy = SLUICE_OPTIONS(sluice_policy_options),
    };
    int r = parse_all(verb, argc, argv, &o, err);
    if (r < 0) {
        cli_options_done(&o);
        return r;
    }
    o.keys.decryption_keys = o.decryption_keys;
    *ret = o;
    return 0;
}

struct sluice_registry_options cli_registry_for(const struct cli_options *o,
                                                const struct sluice_registry_options *side)
{
    struct sluice_registry_options both = o->registry;
    if (side->creds || side->authfile)
        both.creds = side->creds;
    if (side->authfile)
        both.authfile = side->authfile;
    if (side->cert_dir)
        both.cert_dir = side->cert_dir;
    if (side->tls != SLUICE_TLS_AS_CONFIGURED)
        both.tls = side->tls;
    return both;
}

int cli_check_policy(const struct cli_options *o, struct sl_error *err)
{
    const struct sluice_policy_options *p = &o->policy;
    if (p->insecure && (p->policy || p->policy_digest || p->require_signed))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "--insecure-policy goes with none of --policy, --policy-digest and "
                            "--require-signed");
    int r = p->policy_digest ? sl_pinned_digest_parse(p->policy_digest, err) : 0;
    return r < 0 ? sl_error_wrap(err, r, "--policy-digest") : 0;
}

void cli_options_done(struct cli_options *o)
{
    free(o->decryption_keys);
    free(o->encryption_keys);
    free(o->listen);
    free(o->encrypt_layers);
    o->decryption_keys = o->encryption_keys = o->listen = NULL;
    o->encrypt_layers = NULL;
}
