/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

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

static int add_key(struct cli_options *o, const char *spec, struct sl_error *err)
{
    size_t n = 0;
    while (o->decryption_keys && o->decryption_keys[n])
        n++;
    const char **longer = realloc(o->decryption_keys, (n + 2) * sizeof(*longer));
    if (!longer)
        return sl_error_oom(err);
    longer[n] = spec;
    longer[n + 1] = NULL;
    o->decryption_keys = longer;
    return 0;
}

static int set_tls_verify(struct cli_options *o, const char *arg, struct sl_error *err)
{
    bool verify = false;
    int r = parse_bool("tls-verify", arg, &verify, err);
    if (r < 0)
        return r;
    o->registry.insecure = !verify;
    o->registry.force_secure = verify;
    return 0;
}

/* Options that only store a word or raise a flag. */
static bool set_simple(struct cli_options *o, enum option_id id, char *arg)
{
    const struct {
        const char **word;
        char **text;
        bool *flag;
    } simple[N_OPTIONS] = {
        [OPT_ROOT] = {.word = &o->root},
        [OPT_AUTHFILE] = {.word = &o->registry.authfile},
        [OPT_CREDS] = {.word = &o->registry.creds},
        [OPT_CERT_DIR] = {.word = &o->registry.cert_dir},
        [OPT_REGISTRIES_CONF] = {.word = &o->registry.registries_conf},
        [OPT_OVERRIDE_ARCH] = {.text = &o->platform.architecture},
        [OPT_OVERRIDE_OS] = {.text = &o->platform.os},
        [OPT_OVERRIDE_VARIANT] = {.text = &o->platform.variant},
        [OPT_KBC] = {.word = &o->kbc},
        [OPT_OFFLINE_KEYS] = {.word = &o->offline_keys},
        [OPT_INSECURE_POLICY] = {.flag = &o->insecure_policy},
        [OPT_VERIFY_FIRST] = {.flag = &o->verify_first},
        [OPT_STATS] = {.flag = &o->stats},
        [OPT_RAW] = {.flag = &o->raw},
        [OPT_CONFIG] = {.flag = &o->config},
        [OPT_READ_ONLY] = {.flag = &o->read_only},
        [OPT_FORCE] = {.flag = &o->force},
        [OPT_DRY_RUN] = {.flag = &o->dry_run},
        [OPT_JSON] = {.flag = &o->json},
        [OPT_QUIET] = {.flag = &o->quiet},
        [OPT_DEBUG] = {.flag = &o->debug},
        [OPT_HELP] = {.flag = &o->help},
    };
    if (simple[id].word)
        *simple[id].word = arg;
    else if (simple[id].text)
        *simple[id].text = arg;
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
        return set_tls_verify(o, arg, err);
    case OPT_DECRYPTION_KEY:
        return add_key(o, arg, err);
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
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread exists yet */
    for (int c; (c = getopt_long(argc, argv, ":hq", longopts, NULL)) != -1;) {
        if (c == 'h')
            c = 256 + OPT_HELP;
        if (c == 'q')
            c = 256 + OPT_QUIET;
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
    return 0;
}

int cli_options_parse(const struct cli_verb *verb, int argc, char **argv, struct cli_options *ret,
                      struct sl_error *err)
{
    struct cli_options o = {0};
    int r = parse_all(verb, argc, argv, &o, err);
    if (r < 0) {
        cli_options_done(&o);
        return r;
    }
    *ret = o;
    return 0;
}

void cli_options_done(struct cli_options *o)
{
    free(o->decryption_keys);
    o->decryption_keys = NULL;
}
