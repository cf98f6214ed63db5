/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* Takes key and value, which may be NULL for want of memory. */
static int add_line(struct sl_loaded_config *loaded, char *key, char *value,
                    const struct sl_config_said *said, struct sl_error *err)
{
    SL_AUTO_FREE char *owned_key = key;
    SL_AUTO_FREE char *owned_value = value;
    SL_AUTO_FREE char *origin = strdup(said->where ? said->where : "default");
    struct sl_config_line *lines = reallocarray(loaded->lines, loaded->n_lines + 1, sizeof(*lines));
    if (lines)
        loaded->lines = lines;
    if (!lines || !key || !value || !origin)
        return sl_error_oom(err);
    lines[loaded->n_lines++] =
        (struct sl_config_line){sl_steal(&owned_key), sl_steal(&owned_value), sl_steal(&origin),
                                said->where ? said->from : SL_CONFIG_DEFAULT};
    return 0;
}

static int describe_credentials(struct sl_config_draft *draft, struct sl_error *err)
{
    struct sl_loaded_config *loaded = draft->loaded;
    int r = 0;
    for (size_t i = 0; r == 0 && i < loaded->values.n_credentials; i++) {
        const struct sl_credential_file *file = &loaded->values.credentials[i];
        r = add_line(loaded, sl_strf("credentials[%zu].path", i), strdup(file->path),
                     &draft->credentials[i], err);
        if (r == 0)
            r = add_line(loaded, sl_strf("credentials[%zu].resource_uri", i),
                         strdup(file->resource_uri), &draft->credentials[i], err);
    }
    return r;
}

int sl_config_describe(struct sl_config_draft *draft, struct sl_error *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < CONFIG_KEYS; i++) {
        enum sl_config_id id = (enum sl_config_id)i;
        const struct sl_config_key *key = sl_config_key_at(id);
        if (key->kind == CONFIG_KIND_CREDENTIALS)
            r = describe_credentials(draft, err);
        else if (key->kind != CONFIG_KIND_IGNORED)
            r = add_line(draft->loaded, strdup(key->name),
                         sl_config_show(&draft->loaded->values, id), &draft->said[i], err);
    }
    return r;
}
