/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_blob.h"

#include "sluice/core/json.h"
#include "sluice/core/json_writer.h"

#include <string.h>

enum { BLOB_MAX = 256 * 1024, BLOB_DEPTH = 8 };

void sl_pkcs11_blob_done(struct sl_pkcs11_blob *blob)
{
    for (size_t i = 0; i < blob->n; i++)
        sl_bytes_done(&blob->recipients[i].text);
    blob->n = 0;
}

const char *sl_pkcs11_digest(const char *hash)
{
    if (!hash || !*hash || strcmp(hash, "sha1") == 0)
        return "sha1";
    return strcmp(hash, "sha256") == 0 ? "sha256" : NULL;
}

/* Absent means 0, as in Go. */
static int check_version(const struct sl_json *object, struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(object, "version");
    int64_t version = 0;
    if (sl_json_type(member) != SL_JSON_NULL && !sl_json_int64(member, &version))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS11 blob: version is no number");
    if (version != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "PKCS11 blob: version %lld",
                            (long long)version);
    return 0;
}

static int read_digest(const struct sl_json *object, const char **ret, struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(object, "hash");
    const char *hash = sl_json_string(member);
    if (!hash && sl_json_type(member) != SL_JSON_NULL)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS11 blob: hash is no string");
    *ret = sl_pkcs11_digest(hash);
    return *ret ? 0 : sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "PKCS11 blob: hash %.40s", hash);
}

static int read_recipient(const struct sl_json *object, struct sl_pkcs11_recipient *ret,
                          struct sl_error *err)
{
    const char *text = NULL;
    int r = check_version(object, err);
    if (r == 0)
        r = read_digest(object, &ret->digest, err);
    if (r == 0)
        r = sl_json_need_string(object, "blob", &text, err);
    if (r == 0)
        r = sl_base64_decode(sl_span_of(text), &ret->text, err);
    return r < 0 ? sl_error_wrap(err, r, "PKCS11 recipient") : 0;
}

static int read_recipients(const struct sl_json *list, struct sl_pkcs11_blob *blob,
                           struct sl_error *err)
{
    size_t n = sl_json_count(list);
    if (sl_json_type(list) != SL_JSON_ARRAY || n == 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS11 blob: no recipients");
    if (n > SL_PKCS11_RECIPIENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "PKCS11 blob: more than %d recipients",
                            SL_PKCS11_RECIPIENTS_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        blob->recipients[i] = (struct sl_pkcs11_recipient){0};
        r = read_recipient(sl_json_at(list, i), &blob->recipients[i], err);
        blob->n += r == 0;
    }
    return r;
}

int sl_pkcs11_blob_parse(struct sl_span text, struct sl_pkcs11_blob *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = BLOB_MAX, .depth = BLOB_DEPTH};
    int r = sl_json_parse(text, "PKCS11 blob", &limits, &doc, err);
    if (r == 0)
        r = check_version(sl_json_root(doc), err);
    if (r < 0)
        return r;
    struct sl_pkcs11_blob blob = {.n = 0};
    r = read_recipients(sl_json_get(sl_json_root(doc), "recipients"), &blob, err);
    if (r == 0)
        *ret = blob;
    else
        sl_pkcs11_blob_done(&blob);
    return r;
}

int sl_pkcs11_blob_write(const struct sl_pkcs11_blob *blob, struct sl_bytes *ret,
                         struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_int(w, "version", 0);
    sl_json_open_array(w, "recipients");
    for (size_t i = 0; i < blob->n; i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_int(w, "version", 0);
        sl_json_put_base64(w, "blob", sl_bytes_span(&blob->recipients[i].text));
        sl_json_put_string(w, "hash", blob->recipients[i].digest);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    return sl_json_end(w, ret, err);
}
