/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration of the service means: which values apply, and who has said them. */
#include "cli.h"
#include "sluice/config.h"
#include "sluice/core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int verb_config_check(const struct cli_options *o, struct sl_error *err)
{
    if (strcmp(o->args[0], "check") != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "usage: sluice config check [FILE]");
    return 0;
}

static const char *origin_name(enum sl_config_origin from)
{
    static const char *const names[] = {[SL_CONFIG_DEFAULT] = "default",
                                        [SL_CONFIG_FILE] = "file",
                                        [SL_CONFIG_KERNEL] = "kernel",
                                        [SL_CONFIG_ENVIRONMENT] = "environment"};
    return names[from];
}

static int show_json(const struct sl_loaded_config *config, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_open_array(w, "values");
    for (size_t i = 0; i < config->n_lines; i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "key", config->lines[i].key);
        sl_json_put_string(w, "value", config->lines[i].value);
        sl_json_put_string(w, "from", origin_name(config->lines[i].from));
        sl_json_put_string(w, "origin", config->lines[i].origin);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    sl_json_put_strings(w, "warnings", config->warnings);
    return cli_print_json(w, err);
}

/* Of the texts that are not longer than limit. */
static int wider(int width, const char *text, int limit)
{
    int len = (int)strnlen(text, (size_t)limit + 1);
    return len > limit || len < width ? width : len;
}

static int show_text(const struct sl_loaded_config *config, struct sl_error *err)
{
    enum { KEY_MAX = 64, VALUE_MAX = 48 }; /* longer ones push what follows to the right */
    int key_width = 0;
    int value_width = 0;
    for (size_t i = 0; i < config->n_lines; i++) {
        key_width = wider(key_width, config->lines[i].key, KEY_MAX);
        value_width = wider(value_width, config->lines[i].value, VALUE_MAX);
    }
    for (size_t i = 0; i < config->n_lines; i++) {
        const struct sl_config_line *line = &config->lines[i];
        const char *value = *line->value ? line->value : "-";
        printf("%-*s  %-*s  %s\n", key_width, line->key, value_width, value, line->origin);
    }
    if (ferror(stdout) || fflush(stdout) != 0)
        return sl_error_system(err, errno, "standard output");
    return 0;
}

static size_t warn(const struct sl_loaded_config *config)
{
    size_t n = 0;
    for (; config->warnings[n]; n++)
        sl_log(SL_LOG_WARN, "%s", config->warnings[n]);
    return n;
}

int verb_config(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sl_loaded_config) config = NULL;
    const char *path = o->n_args > 1 ? o->args[1] : NULL;
    int r = sl_config_load(path, /* sources= */ NULL, &config, err);
    if (r < 0)
        return r;
    size_t n = warn(config);
    if (!o->quiet)
        r = o->json ? show_json(config, err) : show_text(config, err);
    if (r == 0 && o->strict && n > 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%zu warning%s, which --strict does not let pass", n,
                            n == 1 ? "" : "s");
    return r;
}
