/* SPDX-License-Identifier: Apache-2.0 */
#include "pem_block.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdlib.h>
#include <string.h>

enum { PEM_TEXT_MAX = 1024 * 1024, PEM_DER_MAX = 1024 * 1024 };

static const char pem_begin[] = "-----BEGIN ";

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct sl_span skip_blanks(struct sl_span text)
{
    while (text.len && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

/* To the next BEGIN at the start of a line, or to the end. */
static struct sl_span skip_notes(struct sl_span text)
{
    const uint8_t *p = text.data;
    const uint8_t *end = text.data + text.len;
    while (p < end) {
        if ((size_t)(end - p) >= strlen(pem_begin) && memcmp(p, pem_begin, strlen(pem_begin)) == 0)
            break;
        const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
        p = eol ? eol + 1 : end;
    }
    return (struct sl_span){p, (size_t)(end - p)};
}

/* Else OpenSSL would pass over it to a later block. */
static bool is_begin_line(struct sl_span text)
{
    static const char dashes[] = "-----";
    const uint8_t *eol = memchr(text.data, '\n', text.len);
    size_t len = eol ? (size_t)(eol - text.data) : text.len;
    while (len > strlen(pem_begin) && is_blank(text.data[len - 1]))
        len--;
    return len > strlen(pem_begin) + strlen(dashes) &&
           memcmp(text.data + len - strlen(dashes), dashes, strlen(dashes)) == 0;
}

static const char *advice_on(struct sl_span text)
{
    static const char pgp[] = "-----BEGIN PGP ";
    return text.len >= strlen(pgp) && memcmp(text.data, pgp, strlen(pgp)) == 0
               ? "OpenPGP armour, which is no PEM: signedBy reads such keys"
               : "a PEM block that does not end, or no base64";
}

/* What OpenSSL takes from here; *ret_used counts the bytes it read. */
static int read_block(struct sl_span text, char **ret_label, struct sl_bytes *ret_der,
                      size_t *ret_used, struct sl_error *err)
{
    if (!is_begin_line(text))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s", advice_on(text));
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    if (!bio)
        return sl_error_oom(err);
    char *label = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    int ok = PEM_read_bio(bio, &label, &header, &der, &len);
    size_t left = BIO_ctrl_pending(bio);
    BIO_free(bio);
    ERR_clear_error();
    int r = 0;
    if (ok != 1)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s", advice_on(text));
    else if (header[0] || len <= 0)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "a PEM block with headers, or an empty one");
    char *copy = r == 0 ? strdup(label) : NULL;
    if (r == 0 && !copy)
        r = sl_error_oom(err);
    if (r == 0)
        r = sl_bytes_append(ret_der, (struct sl_span){der, (size_t)len}, PEM_DER_MAX, err);
    if (r == 0) {
        *ret_label = sl_steal(&copy);
        *ret_used = text.len - left;
    }
    free(copy);
    OPENSSL_free(label);
    OPENSSL_free(header);
    if (len > 0)
        OPENSSL_clear_free(der, (size_t)len);
    return r;
}

int sl_pem_next(struct sl_span *text, bool allows_notes, char **ret_label, struct sl_bytes *ret_der,
                struct sl_error *err)
{
    if (text->len > PEM_TEXT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "PEM text of more than %d bytes", PEM_TEXT_MAX);
    struct sl_span at = allows_notes ? skip_notes(*text) : skip_blanks(*text);
    if (!at.len) {
        *text = at;
        return 0;
    }
    if (at.len < strlen(pem_begin) || memcmp(at.data, pem_begin, strlen(pem_begin)) != 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "something that is no PEM block");
    size_t used = 0;
    int r = read_block(at, ret_label, ret_der, &used, err);
    if (r < 0)
        return r;
    *text = (struct sl_span){at.data + used, at.len - used};
    return 1;
}

int sl_pem_read_one(struct sl_span text, const char *label, struct sl_bytes *ret_der,
                    struct sl_error *err)
{
    SL_AUTO_FREE char *found = NULL;
    struct sl_bytes der = {0};
    int r = sl_pem_next(&text, /* allows_notes= */ false, &found, &der, err);
    if (r == 0)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "no PEM block; a %s is wanted", label);
    else if (r > 0 && (!found || strcmp(found, label) != 0))
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "a PEM block '%.40s'; a %s is wanted",
                         found ? found : "", label);
    else if (r > 0 && skip_blanks(text).len)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG,
                         "something behind the PEM block; exactly one %s is wanted", label);
    if (r < 0) {
        sl_bytes_wipe(&der);
        return r;
    }
    *ret_der = der;
    return 0;
}
