/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/environment.h"
#include "sources.h"
#include "store.h"

#include <fcntl.h>
#include <stdlib.h>

static int say_untold(struct sl_config_draft *draft, struct sl_error *err)
{
    if (draft->n_untold == 0)
        return 0;
    char *text = sl_strf("%zu more warnings", draft->n_untold);
    if (!text)
        return sl_error_oom(err);
    draft->loaded->warnings[draft->n_warnings] = text; /* there is room for this one */
    return 0;
}

/* Each source may replace what those before it have said. */
static int read_sources(struct sl_config_draft *draft, const struct sl_config_texts *texts,
                        struct sl_error *err)
{
    bool has_file = texts->file.data;
    bool has_image = false;
    int r = 0;
    if (has_file)
        r = sl_config_read_file(draft, texts->file, texts->file_name, &has_image, err);
    const struct sl_config_kernel_use use = {.image = !has_image, .kbc = !has_file};
    if (r == 0)
        r = sl_config_read_kernel(draft, texts->cmdline, &use, err);
    if (r == 0)
        r = sl_config_read_environment(draft, texts->environment, !has_file, err);
    return r;
}

int sl_config_load_texts(const struct sl_config_texts *texts, struct sl_loaded_config **ret,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_config_draft) draft = {0};
    int r = sl_config_draft_init(&draft, err);
    if (r == 0)
        r = read_sources(&draft, texts, err);
    if (r == 0)
        r = sl_config_set_defaults(&draft, err);
    if (r == 0)
        r = sl_config_check_all(&draft, err);
    if (r == 0)
        r = sl_config_describe(&draft, err);
    if (r == 0)
        r = say_untold(&draft, err);
    if (r == 0)
        *ret = sl_steal(&draft.loaded);
    return r;
}

int sl_config_load(const char *path, const struct sl_config_sources *sources,
                   struct sl_loaded_config **ret, struct sl_error *err)
{
    static const struct sl_config_sources machine = {0};
    const struct sl_config_sources *s = sources ? sources : &machine;
    SL_AUTO_DONE(sl_bytes) file = {0};
    SL_AUTO_DONE(sl_bytes) cmdline = {0};
    int r = path ? sl_read_file(AT_FDCWD, path, SL_CONFIG_FILE_MAX, &file, err) : 0;
    /* A policy may stand on the command line: not to be read is not to be empty. */
    if (r == 0)
        r = sl_read_file(AT_FDCWD, s->cmdline ? s->cmdline : "/proc/cmdline", SL_CONFIG_CMDLINE_MAX,
                         &cmdline, err);
    if (r < 0)
        return r;
    const struct sl_config_texts texts = {
        .file = path ? (struct sl_span){file.data ? file.data : (const uint8_t *)"", file.len}
                     : (struct sl_span){0},
        .file_name = path,
        .cmdline = sl_bytes_span(&cmdline),
        .environment = s->environment ? s->environment : sl_environment_get,
    };
    return sl_config_load_texts(&texts, ret, err);
}
