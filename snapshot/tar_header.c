/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_header.h"

#include <string.h>

/* Where the fields are, in bytes from the start of the block. */
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_LINK = 157,
    AT_MAGIC = 257,
    AT_MAJOR = 329,
    AT_MINOR = 337,
    AT_PREFIX = 345,
    AT_STAR = 508,
    NAME_LEN = 100,
    SHORT_LEN = 8,
    LONG_LEN = 12,
    PREFIX_LEN = 155,
    STAR_PREFIX_LEN = 131,
};

bool sl_tar_block_is_zero(const uint8_t block[SL_TAR_BLOCK])
{
    return block[0] == 0 && memcmp(block, block + 1, SL_TAR_BLOCK - 1) == 0;
}

static int parse_base256(const uint8_t *field, size_t len, int64_t *ret)
{
    bool negative = (field[0] & 0x40) != 0;
    uint64_t magnitude = 0; /* of the complement when negative */
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = negative ? (uint8_t)~field[i] : field[i];
        if (i == 0)
            byte &= 0x7f;
        if (magnitude >> 55)
            return -EINVAL;
        magnitude = magnitude << 8 | byte;
    }
    *ret = negative ? -(int64_t)magnitude - 1 : (int64_t)magnitude;
    return 0;
}

static bool is_pad(uint8_t byte)
{
    return byte == ' ' || byte == 0;
}

static int parse_octal(const uint8_t *field, size_t len, int64_t *ret)
{
    size_t i = 0;
    while (i < len && is_pad(field[i]))
        i++;
    uint64_t value = 0;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
        if (value >> 60)
            return -EINVAL;
        value = value << 3 | (uint64_t)(field[i] - '0');
    }
    while (i < len && field[i] == ' ')
        i++;
    if (i < len && field[i] != 0)
        return -EINVAL;
    *ret = (int64_t)value;
    return 0;
}

int sl_tar_number(const uint8_t *field, size_t len, int64_t *ret)
{
    return field[0] & 0x80 ? parse_base256(field, len, ret) : parse_octal(field, len, ret);
}

/* Old tars summed signed chars: both sums are right. */
static bool sum_is_right(const uint8_t *block)
{
    int64_t stored;
    if (sl_tar_number(block + AT_SUM, SHORT_LEN, &stored) < 0)
        return false;
    unsigned sum = 0, high = 0;
    for (size_t i = 0; i < SL_TAR_BLOCK; i++) {
        sum += block[i];
        high += block[i] >> 7;
    }
    for (size_t i = AT_SUM; i < AT_SUM + SHORT_LEN; i++) {
        sum += (unsigned)' ' - block[i];
        high -= block[i] >> 7;
    }
    return stored == (int64_t)sum || stored == (int64_t)sum - 256 * (int64_t)high;
}

static size_t copy_text(char *to, const uint8_t *field, size_t max)
{
    size_t len = strnlen((const char *)field, max);
    memcpy(to, field, len);
    to[len] = 0;
    return len;
}

static void read_name(const uint8_t *block, struct sl_tar_header *h)
{
    bool is_ustar = memcmp(block + AT_MAGIC, "ustar", 6) == 0;
    bool is_star = memcmp(block + AT_STAR, "tar", 4) == 0;
    size_t len = 0;
    if (is_ustar && block[AT_PREFIX]) {
        len = copy_text(h->name, block + AT_PREFIX, is_star ? STAR_PREFIX_LEN : PREFIX_LEN);
        h->name[len++] = '/';
    }
    h->name_len = len + copy_text(h->name + len, block + AT_NAME, NAME_LEN);
}

static int read_numbers(const uint8_t *block, struct sl_tar_header *h, struct sl_error *err)
{
    const struct {
        const char *what;
        size_t at, len;
        int64_t *to;
    } fields[] = {
        {"uid", AT_UID, SHORT_LEN, &h->uid},
        {"gid", AT_GID, SHORT_LEN, &h->gid},
        {"size", AT_SIZE, LONG_LEN, &h->size},
        {"mtime", AT_MTIME, LONG_LEN, &h->mtime},
        {"device major", AT_MAJOR, SHORT_LEN, &h->dev_major},
        {"device minor", AT_MINOR, SHORT_LEN, &h->dev_minor},
    };
    /* Other types leave rubbish where device numbers would be. */
    size_t n = h->type == '3' || h->type == '4' ? 6 : 4;
    for (size_t i = 0; i < n; i++)
        if (sl_tar_number(block + fields[i].at, fields[i].len, fields[i].to) < 0)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "the %s of the header is not a number",
                                fields[i].what);
    return 0;
}

int sl_tar_header_parse(const uint8_t block[SL_TAR_BLOCK], struct sl_tar_header *ret,
                        struct sl_error *err)
{
    if (!sum_is_right(block))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the header checksum is wrong");
    int64_t mode;
    if (sl_tar_number(block + AT_MODE, SHORT_LEN, &mode) < 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the mode of the header is not a number");
    ret->type = (char)block[AT_TYPE];
    ret->is_gnu = memcmp(block + AT_MAGIC, "ustar  ", 8) == 0;
    ret->mode = (uint32_t)mode & 07777;
    ret->dev_major = ret->dev_minor = 0;
    ret->link_len = copy_text(ret->link, block + AT_LINK, SL_TAR_LINK_MAX);
    read_name(block, ret);
    return read_numbers(block, ret, err);
}
