/* SPDX-License-Identifier: Apache-2.0 */
#include "pax_records.h"

#include <stdlib.h>
#include <string.h>

static const char schily_prefix[] = "SCHILY.xattr.";
static const char libarchive_prefix[] = "LIBARCHIVE.xattr.";

/* One record; both parts are followed by a byte that is ours to overwrite. */
struct record {
    uint8_t *key, *value;
    size_t key_len, value_len;
};

typedef int (*record_fn)(struct sl_pax *pax, const struct record *rec, struct sl_error *err);

void sl_pax_clear(struct sl_pax *pax)
{
    sl_tar_sparse_clear(&pax->map);
    *pax = (struct sl_pax){.xattrs = pax->xattrs, .cap_xattrs = pax->cap_xattrs, .map = pax->map};
}

void sl_pax_done(struct sl_pax *pax)
{
    sl_tar_sparse_done(&pax->map);
    free(pax->xattrs);
    *pax = (struct sl_pax){0};
}

static int malformed(const struct record *rec, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "the PAX record '%.80s' is malformed",
                        (const char *)rec->key);
}

static int get_number(const struct record *rec, uint64_t *ret, struct sl_error *err)
{
    uint64_t n = 0;
    for (size_t i = 0; i < rec->value_len; i++) {
        uint8_t c = rec->value[i];
        if (c < '0' || c > '9' || n > (INT64_MAX - 9) / 10)
            return malformed(rec, err);
        n = n * 10 + (uint64_t)(c - '0');
    }
    *ret = n;
    return 0;
}

static int get_text(const struct record *rec, struct sl_span *ret, struct sl_error *err)
{
    if (memchr(rec->value, 0, rec->value_len))
        return malformed(rec, err);
    *ret = (struct sl_span){rec->value, rec->value_len};
    return 0;
}

/* "[-]seconds[.fraction]"; digits beyond nanoseconds are cut off, towards zero. */
static int get_time(const struct record *rec, struct timespec *ret, struct sl_error *err)
{
    const uint8_t *p = rec->value, *end = p + rec->value_len;
    bool negative = p < end && *p == '-';
    int64_t sec = 0;
    long nsec = 0, unit = 100000000;
    p += negative;
    if (p == end || *p == '.')
        return malformed(rec, err);
    for (; p < end && *p != '.'; p++) {
        if (*p < '0' || *p > '9' || sec > (INT64_MAX - 9) / 10)
            return malformed(rec, err);
        sec = sec * 10 + (*p - '0');
    }
    for (p += p < end; p < end; p++, unit /= 10) {
        if (*p < '0' || *p > '9')
            return malformed(rec, err);
        nsec += unit * (*p - '0');
    }
    if (negative) {
        sec = -sec - (nsec > 0);
        nsec = nsec ? 1000000000 - nsec : 0;
    }
    *ret = (struct timespec){sec, nsec};
    return 0;
}

static int on_path(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    return get_text(rec, &pax->path, err);
}

static int on_linkpath(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    return get_text(rec, &pax->linkpath, err);
}

static int on_size(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_size = true;
    return get_number(rec, &pax->size, err);
}

static int on_uid(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_uid = true;
    return get_number(rec, &pax->uid, err);
}

static int on_gid(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_gid = true;
    return get_number(rec, &pax->gid, err);
}

static int on_mtime(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_mtime = true;
    return get_time(rec, &pax->mtime, err);
}

static int on_atime(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_atime = true;
    return get_time(rec, &pax->atime, err);
}

static int on_sparse_name(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    return get_text(rec, &pax->sparse_name, err);
}

static int on_sparse_major(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    return get_text(rec, &pax->sparse_major, err);
}

static int on_sparse_minor(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    return get_text(rec, &pax->sparse_minor, err);
}

static int on_sparse_size(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_real_size = true;
    return get_number(rec, &pax->real_size, err);
}

static int on_sparse_blocks(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    pax->has_blocks = true;
    return get_number(rec, &pax->blocks, err);
}

static int on_sparse_offset(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    uint64_t n;
    int r = get_number(rec, &n, err);
    return r < 0 ? r : sl_tar_sparse_add_offset(&pax->map, n, err);
}

static int on_sparse_len(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    uint64_t n;
    int r = get_number(rec, &n, err);
    return r < 0 ? r : sl_tar_sparse_add_len(&pax->map, n, err);
}

static int on_sparse_map(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    sl_tar_sparse_clear(&pax->map);
    return sl_tar_sparse_add_list(&pax->map, (struct sl_span){rec->value, rec->value_len}, err);
}

/* Anything else is a comment to us: uname, gname, ctime, hdrcharset (names are bytes) … */
static const struct {
    const char *key;
    record_fn fn;
} handlers[] = {
    {"mtime", on_mtime},
    {"atime", on_atime},
    {"path", on_path},
    {"linkpath", on_linkpath},
    {"size", on_size},
    {"uid", on_uid},
    {"gid", on_gid},
    {"GNU.sparse.name", on_sparse_name},
    {"GNU.sparse.major", on_sparse_major},
    {"GNU.sparse.minor", on_sparse_minor},
    {"GNU.sparse.size", on_sparse_size},
    {"GNU.sparse.realsize", on_sparse_size},
    {"GNU.sparse.numblocks", on_sparse_blocks},
    {"GNU.sparse.offset", on_sparse_offset},
    {"GNU.sparse.numbytes", on_sparse_len},
    {"GNU.sparse.map", on_sparse_map},
};

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "%XX" in place; returns the new length. GNU tar so hides '%' and '=' in names of attributes,
 * libarchive every unusual byte. */
static size_t decode_percent(uint8_t *text, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        int hi = -1, lo = -1;
        if (text[i] == '%' && len - i > 2) {
            hi = hex_digit(text[i + 1]);
            lo = hex_digit(text[i + 2]);
        }
        if (hi >= 0 && lo >= 0) {
            text[out++] = (uint8_t)(hi << 4 | lo);
            i += 2;
        } else {
            text[out++] = text[i];
        }
    }
    return out;
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place; libarchive leaves the padding out. */
static int decode_base64(const struct record *rec, size_t *ret_len, struct sl_error *err)
{
    size_t len = rec->value_len, out = 0;
    while (len && rec->value[len - 1] == '=')
        len--;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(rec->value[i]);
        if (digit < 0)
            return malformed(rec, err);
        bits = (bits << 6 | (uint32_t)digit) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            rec->value[out++] = (uint8_t)(bits >> n_bits);
        }
    }
    *ret_len = out;
    return 0;
}

/* The slot for this name: the one it has already, or a new one. */
static int find_slot(struct sl_pax *pax, struct sl_span name, struct sl_tar_xattr **ret,
                     struct sl_error *err)
{
    for (size_t i = 0; i < pax->n_xattrs; i++) {
        struct sl_tar_xattr *x = &pax->xattrs[i];
        if (x->name.len == name.len && memcmp(x->name.data, name.data, name.len) == 0) {
            *ret = x;
            return 0;
        }
    }
    if (pax->n_xattrs == SL_PAX_XATTRS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d extended attributes",
                            SL_PAX_XATTRS_MAX);
    if (pax->n_xattrs == pax->cap_xattrs) {
        size_t cap = pax->cap_xattrs ? 2 * pax->cap_xattrs : 8;
        struct sl_tar_xattr *more = realloc(pax->xattrs, cap * sizeof(*more));
        if (!more)
            return sl_error_oom(err);
        pax->xattrs = more;
        pax->cap_xattrs = cap;
    }
    *ret = &pax->xattrs[pax->n_xattrs++];
    **ret = (struct sl_tar_xattr){.name = name, .is_libarchive = true};
    return 0;
}

static int on_xattr(struct sl_pax *pax, const struct record *rec, size_t prefix_len,
                    bool is_libarchive, struct sl_error *err)
{
    uint8_t *name = rec->key + prefix_len;
    size_t name_len = decode_percent(name, rec->key_len - prefix_len);
    size_t value_len = rec->value_len;
    name[name_len] = 0;
    if (!name_len || memchr(name, 0, name_len))
        return malformed(rec, err);
    int r = is_libarchive ? decode_base64(rec, &value_len, err) : 0;
    struct sl_tar_xattr *x = NULL;
    if (r >= 0)
        r = find_slot(pax, (struct sl_span){name, name_len}, &x, err);
    if (r < 0 || (is_libarchive && !x->is_libarchive))
        return r;
    x->is_libarchive = is_libarchive;
    x->value = (struct sl_span){rec->value, value_len};
    return 0;
}

static bool has_prefix(const struct record *rec, const char *prefix, size_t len)
{
    return rec->key_len > len && memcmp(rec->key, prefix, len) == 0;
}

static int handle_record(struct sl_pax *pax, const struct record *rec, struct sl_error *err)
{
    /* An attribute may be empty, so for these "no value" is a value. */
    if (has_prefix(rec, schily_prefix, sizeof(schily_prefix) - 1))
        return on_xattr(pax, rec, sizeof(schily_prefix) - 1, /* is_libarchive= */ false, err);
    if (has_prefix(rec, libarchive_prefix, sizeof(libarchive_prefix) - 1))
        return on_xattr(pax, rec, sizeof(libarchive_prefix) - 1, /* is_libarchive= */ true, err);
    if (rec->value_len == 0) /* unset, says POSIX: what the header says holds */
        return 0;
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
        if (strcmp((const char *)rec->key, handlers[i].key) == 0)
            return handlers[i].fn(pax, rec, err);
    return 0;
}

/* Cuts one record off the front; -EINVAL (no message). */
static int next_record(uint8_t **p, const uint8_t *end, struct record *ret)
{
    uint8_t *start = *p, *q = start;
    size_t len = 0;
    for (; q < end && *q >= '0' && *q <= '9' && q - start < 9; q++)
        len = len * 10 + (size_t)(*q - '0');
    if (q == start || q >= end || *q != ' ' || len > (size_t)(end - start) ||
        len < (size_t)(q - start) + 4)
        return -EINVAL;
    uint8_t *stop = start + len - 1; /* at the newline */
    uint8_t *key = q + 1;
    uint8_t *equals = memchr(key, '=', (size_t)(stop - key));
    if (*stop != '\n' || !equals || equals == key || memchr(key, 0, (size_t)(equals - key)))
        return -EINVAL;
    *equals = *stop = 0;
    *ret = (struct record){key, equals + 1, (size_t)(equals - key), (size_t)(stop - equals - 1)};
    *p = stop + 1;
    return 0;
}

int sl_pax_parse(struct sl_pax *pax, uint8_t *text, size_t len, struct sl_error *err)
{
    uint8_t *p = text;
    const uint8_t *end = text + len;
    while (p < end) {
        struct record rec;
        if (next_record(&p, end, &rec) < 0)
            return sl_error_set(err, SL_E_FORMAT, EINVAL,
                                "a PAX record at byte %zu of the extended header is malformed",
                                (size_t)(p - text));
        int r = handle_record(pax, &rec, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_text(struct sl_span s, const char *text)
{
    return s.data && strcmp((const char *)s.data, text) == 0;
}

int sl_pax_sparse_form(const struct sl_pax *pax, enum sl_pax_sparse *ret, struct sl_error *err)
{
    bool major_0 = is_text(pax->sparse_major, "0"), major_1 = is_text(pax->sparse_major, "1");
    bool minor_0 = is_text(pax->sparse_minor, "0"), minor_1 = is_text(pax->sparse_minor, "1");
    if (major_1 && minor_0) {
        *ret = SL_PAX_SPARSE_1;
    } else if ((major_0 && (minor_0 || minor_1)) ||
               (!pax->sparse_major.data && !pax->sparse_minor.data)) {
        bool is_sparse = pax->map.n > 0 || (pax->has_blocks && pax->has_real_size);
        if (is_sparse && pax->has_blocks && pax->blocks != pax->map.n)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "the sparse map is incomplete");
        *ret = is_sparse ? SL_PAX_SPARSE_0 : SL_PAX_PLAIN;
    } else {
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP, "sparse format %s.%s is unknown",
                            pax->sparse_major.data ? (const char *)pax->sparse_major.data : "",
                            pax->sparse_minor.data ? (const char *)pax->sparse_minor.data : "");
    }
    return 0;
}
