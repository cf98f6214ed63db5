/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_sparse.h"

#include <stdlib.h>

enum {
    GNU_HEADER_TABLE = 386,
    GNU_HEADER_ROWS = 4,
    GNU_HEADER_MORE = 482,
    GNU_REAL_SIZE = 483,
    GNU_BLOCK_ROWS = 21,
    GNU_BLOCK_MORE = 504,
    GNU_NUMBER = 12,
};

void sl_tar_sparse_clear(struct sl_tar_sparse *s)
{
    *s = (struct sl_tar_sparse){.extents = s->extents, .cap = s->cap};
}

void sl_tar_sparse_done(struct sl_tar_sparse *s)
{
    free(s->extents);
    *s = (struct sl_tar_sparse){0};
}

static int malformed(struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "the sparse map is malformed");
}

int sl_tar_sparse_add_offset(struct sl_tar_sparse *s, uint64_t offset, struct sl_error *err)
{
    if (s->half)
        return malformed(err);
    if (s->n == SL_TAR_EXTENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a sparse file of more than %d parts",
                            SL_TAR_EXTENTS_MAX);
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        struct sl_tar_extent *more = realloc(s->extents, cap * sizeof(*more));
        if (!more)
            return sl_error_oom(err);
        s->extents = more;
        s->cap = cap;
    }
    s->extents[s->n++] = (struct sl_tar_extent){.offset = offset};
    s->half = true;
    return 0;
}

int sl_tar_sparse_add_len(struct sl_tar_sparse *s, uint64_t len, struct sl_error *err)
{
    if (!s->half)
        return malformed(err);
    s->extents[s->n - 1].len = len;
    s->half = false;
    return 0;
}

static int add_number(struct sl_tar_sparse *s, uint64_t number, struct sl_error *err)
{
    return s->half ? sl_tar_sparse_add_len(s, number, err)
                   : sl_tar_sparse_add_offset(s, number, err);
}

static bool push_digit(uint64_t *number, uint8_t c)
{
    if (c < '0' || c > '9' || *number > (INT64_MAX - 9) / 10)
        return false;
    *number = *number * 10 + (uint64_t)(c - '0');
    return true;
}

int sl_tar_sparse_add_list(struct sl_tar_sparse *s, struct sl_span list, struct sl_error *err)
{
    size_t i = 0;
    while (i < list.len) {
        uint64_t number = 0;
        size_t start = i;
        for (; i < list.len && list.data[i] != ','; i++)
            if (!push_digit(&number, list.data[i]))
                return malformed(err);
        if (i == start)
            return malformed(err);
        int r = add_number(s, number, err);
        if (r < 0)
            return r;
        i++; /* the comma, which must have a successor */
        if (i == list.len)
            return malformed(err);
    }
    return 0;
}

int sl_tar_sparse_add_gnu(struct sl_tar_sparse *s, const uint8_t block[SL_TAR_BLOCK],
                          bool is_extension, struct sl_error *err)
{
    const uint8_t *row = block + (is_extension ? 0 : GNU_HEADER_TABLE);
    int rows = is_extension ? GNU_BLOCK_ROWS : GNU_HEADER_ROWS;
    for (; rows && row[0]; rows--, row += (size_t)2 * GNU_NUMBER) {
        int64_t offset, len;
        if (sl_tar_number(row, GNU_NUMBER, &offset) < 0 || offset < 0 ||
            sl_tar_number(row + GNU_NUMBER, GNU_NUMBER, &len) < 0 || len < 0)
            return malformed(err);
        int r = sl_tar_sparse_add_offset(s, (uint64_t)offset, err);
        if (r >= 0)
            r = sl_tar_sparse_add_len(s, (uint64_t)len, err);
        if (r < 0)
            return r;
    }
    return block[is_extension ? GNU_BLOCK_MORE : GNU_HEADER_MORE] != 0;
}

int sl_tar_sparse_gnu_size(const uint8_t block[SL_TAR_BLOCK], int64_t *ret)
{
    int r = sl_tar_number(block + GNU_REAL_SIZE, GNU_NUMBER, ret);
    return r < 0 || *ret < 0 ? -EINVAL : 0;
}

/* The first number is how many extents follow. */
static int end_number(struct sl_tar_sparse *s, struct sl_error *err)
{
    uint64_t number = s->number;
    if (!s->has_digit)
        return malformed(err);
    s->number = 0;
    s->has_digit = false;
    if (s->seen++ > 0)
        return add_number(s, number, err);
    if (number > SL_TAR_EXTENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a sparse file of more than %d parts",
                            SL_TAR_EXTENTS_MAX);
    s->wanted = 1 + 2 * number;
    return 0;
}

int sl_tar_sparse_add_block(struct sl_tar_sparse *s, const uint8_t block[SL_TAR_BLOCK],
                            struct sl_error *err)
{
    for (size_t i = 0; i < SL_TAR_BLOCK; i++) {
        if (block[i] != '\n') {
            if (!push_digit(&s->number, block[i]))
                return malformed(err);
            s->has_digit = true;
            continue;
        }
        int r = end_number(s, err);
        if (r < 0)
            return r;
        if (s->seen == s->wanted)
            return 0; /* the rest of the block is padding */
    }
    return 1;
}

int sl_tar_sparse_check(const struct sl_tar_sparse *s, uint64_t size, uint64_t stored,
                        struct sl_error *err)
{
    uint64_t end = 0, total = 0;
    if (s->half)
        return malformed(err);
    for (size_t i = 0; i < s->n; i++) {
        const struct sl_tar_extent *e = &s->extents[i];
        if (e->offset < end || e->offset > size || e->len > size - e->offset)
            return sl_error_set(err, SL_E_FORMAT, EINVAL,
                                "the sparse map has parts that overlap or exceed the file");
        end = e->offset + e->len;
        total += e->len;
    }
    if (total != stored)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the sparse map describes another amount of data than is stored");
    return 0;
}
