/* SPDX-License-Identifier: Apache-2.0 */
/* Which resources are put into files at start, and where they may lie. */
#include "check.h"
#include "draft.h"

#include <stdlib.h>
#include <string.h>

enum {
    CREDENTIALS_MAX = 64, /* each of them is asked for at start */
    PATH_TEXT_MAX = 4095,
};

#define BAD(err, ...) sl_error_set(err, SL_E_FORMAT, EINVAL, __VA_ARGS__)

static int check_path(const char *path, struct sl_error *err)
{
    size_t prefix = strlen(SL_CREDENTIALS_ROOT);
    size_t len = strlen(path);
    bool is_below = strncmp(path, SL_CREDENTIALS_ROOT "/", prefix + 1) == 0 && len > prefix + 1;
    if (len > PATH_TEXT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "path: longer than %d bytes",
                            (int)PATH_TEXT_MAX);
    if (!is_below || !sl_config_is_plain_path(path) || path[len - 1] == '/')
        return BAD(err, "path: '%.200s' is not a file below %s, without . and ..", path,
                   SL_CREDENTIALS_ROOT);
    if (sl_config_has_control(path))
        return BAD(err, "path: holds a control character");
    return 0;
}

static int check_resource(const char *uri, struct sl_error *err)
{
    char *unused = NULL;
    if (strncmp(uri, "kbs", 3) != 0)
        return BAD(err,
                   "resource_uri: '%.200s' is no resource of a broker: say "
                   "kbs:///REPOSITORY/TYPE/TAG",
                   uri);
    int r = sl_config_check_resource(uri, &unused, err);
    return r < 0 ? sl_error_wrap(err, r, "resource_uri") : 0;
}

static int warn_of_twin(struct sl_config_draft *draft, const char *path,
                        const struct sl_config_source *source, struct sl_error *err)
{
    const struct sl_config *values = &draft->loaded->values;
    for (size_t i = 0; i < values->n_credentials; i++)
        if (strcmp(values->credentials[i].path, path) == 0)
            return sl_config_warn(draft, err,
                                  "%s: credentials: %.200s is said twice (before: %s); this one "
                                  "is written last",
                                  source->where, path, draft->credentials[i].where);
    return 0;
}

/* Room for one more. */
static int grow(struct sl_config_draft *draft, struct sl_error *err)
{
    struct sl_config *values = &draft->loaded->values;
    size_t n = values->n_credentials + 1;
    struct sl_credential_file *files = reallocarray(values->credentials, n, sizeof(*files));
    if (!files)
        return sl_error_oom(err);
    values->credentials = files;
    struct sl_config_said *said = reallocarray(draft->credentials, n, sizeof(*said));
    if (!said)
        return sl_error_oom(err);
    draft->credentials = said;
    return 0;
}

static int append(struct sl_config_draft *draft, const char *path, const char *resource_uri,
                  const struct sl_config_source *source, struct sl_error *err)
{
    SL_AUTO_FREE char *path_copy = strdup(path);
    SL_AUTO_FREE char *uri_copy = strdup(resource_uri);
    SL_AUTO_FREE char *where = strdup(source->where);
    struct sl_config *values = &draft->loaded->values;
    if (!path_copy || !uri_copy || !where)
        return sl_error_oom(err);
    int r = grow(draft, err);
    if (r < 0)
        return r;
    size_t i = values->n_credentials++;
    values->credentials[i] = (struct sl_credential_file){sl_steal(&path_copy), sl_steal(&uri_copy)};
    draft->n_credentials++;
    draft->credentials[i] = (struct sl_config_said){source->from, sl_steal(&where)};
    return 0;
}

int sl_config_add_credential(struct sl_config_draft *draft, const char *path,
                             const char *resource_uri, const struct sl_config_source *source,
                             struct sl_error *err)
{
    if (draft->loaded->values.n_credentials == CREDENTIALS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: more than %d credentials", source->where,
                            (int)CREDENTIALS_MAX);
    int r = check_path(path, err);
    if (r == 0)
        r = check_resource(resource_uri, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: credentials", source->where);
    r = warn_of_twin(draft, path, source, err);
    return r < 0 ? r : append(draft, path, resource_uri, source, err);
}
