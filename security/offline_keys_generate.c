/* SPDX-License-Identifier: Apache-2.0 */
/* Key files for offline_fs_kbc, as CoCo's generate_keys.sh writes them. Composed by hand, in memory
 * that is wiped: the JSON writer leaves copies behind. */
#include "kbc_broker.h"

#include <openssl/rand.h>
#include <string.h>

enum { KEYS_MAX = 8192, FILE_MAX = 4 * 1024 * 1024 };

/* One path segment of a resource URI. */
static int check_repository(const char *repository, struct sl_error *err)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    SL_AUTO_FREE char *text = sl_strf("kbs:///%s/key/key_id1", repository);
    if (!text)
        return sl_error_oom(err);
    int r = sl_resource_uri_parse(text, &uri, err);
    if (r == 0)
        r = sl_resource_uri_need_resource(&uri, err);
    if (r == 0 && uri.query)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "it holds a '?'");
    return r < 0 ? sl_error_wrap(err, r, "repository '%.100s'", repository) : 0;
}

static int append(struct sl_bytes *b, const char *text, struct sl_error *err)
{
    return sl_bytes_append(b, sl_span_of(text), FILE_MAX, err);
}

/* "REPOSITORY/key/key_idI": "BASE64" */
static int append_key(struct sl_bytes *b, const char *repository, unsigned i, struct sl_error *err)
{
    uint8_t key[SL_KBC_KEK_SIZE];
    if (RAND_bytes(key, sizeof(key)) != 1)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "no random numbers");
    SL_AUTO_SECRET base64 = sl_base64_encode((struct sl_span){key, sizeof(key)});
    sl_wipe(key, sizeof(key));
    SL_AUTO_FREE char *name = sl_strf("  \"%s/key/key_id%u\": \"", repository, i);
    if (!base64 || !name)
        return sl_error_oom(err);
    int r = append(b, name, err);
    if (r == 0)
        r = append(b, base64, err);
    return r < 0 ? r : append(b, "\"", err);
}

int sl_offline_keys_generate(const char *repository, unsigned n, struct sl_bytes *ret,
                             struct sl_error *err)
{
    if (!repository)
        repository = "default";
    int r = check_repository(repository, err);
    if (r < 0)
        return r;
    if (n == 0 || n > KEYS_MAX)
        return sl_error_set(err, SL_E_LIMIT, ERANGE, "a key file has 1 to %d keys", KEYS_MAX);
    struct sl_bytes b = {0};
    r = append(&b, "{\n", err);
    for (unsigned i = 1; r == 0 && i <= n; i++) {
        r = append_key(&b, repository, i, err);
        if (r == 0)
            r = append(&b, i < n ? ",\n" : "\n}\n", err);
    }
    if (r < 0)
        sl_bytes_wipe(&b);
    else
        *ret = b;
    return r;
}
