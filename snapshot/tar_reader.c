/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Zeros behind the end of an archive: more than any blocking factor asks for, less than a bomb. */
#define TRAILING_MAX (UINT64_C(64) << 20)

static const struct sl_untar_limits default_limits = {
    .entries = 16ull << 20,
    .file_size = 1ull << 40,
    .total_size = 256ull << 30,
    .pax_size = 1u << 20,
    .path_size = 64u << 10,
    .depth = 4096,
};

enum state {
    AT_HEADER,  /* a header block, or the end */
    IN_META,    /* the payload of 'x', 'L' or 'K' */
    IN_GNU_MAP, /* extension blocks behind a header of type 'S' */
    IN_PAX_MAP, /* the map in front of the data of a PAX 1.0 sparse file */
    IN_DATA,    /* file content */
    IN_PADDING, /* behind the data of an entry, which is complete */
    IN_SKIP,    /* padding of other things, and payloads nobody wants */
    AT_END,     /* the end-of-archive mark was seen: only zeros may follow */
};

struct sl_tar_reader {
    struct sl_untar_limits limits;
    struct sl_tar_sink sink;
    enum state state;
    uint64_t offset;    /* of the next byte, in the archive */
    uint64_t remaining; /* bytes of payload, IN_META, IN_DATA and IN_SKIP */
    size_t padding;     /* behind that payload */
    uint8_t block[SL_TAR_BLOCK];
    size_t block_len;
    uint64_t n_headers, total_size, trailing;

    struct sl_tar_header header;
    /* Extended headers wait here for the entry they describe. */
    char meta_type;
    struct sl_bytes pax_text, long_name, long_link;
    bool has_long_name, has_long_link, has_pax;
    uint64_t meta_size;
    struct sl_pax pax;

    struct sl_tar_sparse map;
    const struct sl_tar_sparse *active_map; /* NULL: not sparse */
    size_t extent;                          /* the one being read, */
    uint64_t extent_pos;                    /* and how far */
    struct sl_tar_entry entry;
    uint64_t stored; /* bytes of content in the archive */
};

struct sl_untar_limits sl_untar_limits_or_default(const struct sl_untar_limits *wanted)
{
    struct sl_untar_limits l = wanted ? *wanted : default_limits;
    const struct sl_untar_limits *d = &default_limits;
    l.entries = l.entries ? l.entries : d->entries;
    l.file_size = l.file_size ? l.file_size : d->file_size;
    l.total_size = l.total_size ? l.total_size : d->total_size;
    l.pax_size = l.pax_size ? l.pax_size : d->pax_size;
    l.path_size = l.path_size ? l.path_size : d->path_size;
    l.depth = l.depth ? l.depth : d->depth;
    return l;
}

int sl_tar_reader_new(const struct sl_untar_limits *limits, const struct sl_tar_sink *sink,
                      struct sl_tar_reader **ret, struct sl_error *err)
{
    struct sl_tar_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return sl_error_oom(err);
    reader->sink = *sink;
    reader->limits = sl_untar_limits_or_default(limits);
    *ret = reader;
    return 0;
}

struct sl_tar_reader *sl_tar_reader_free(struct sl_tar_reader *reader)
{
    if (!reader)
        return NULL;
    sl_bytes_done(&reader->pax_text);
    sl_bytes_done(&reader->long_name);
    sl_bytes_done(&reader->long_link);
    sl_pax_done(&reader->pax);
    sl_tar_sparse_done(&reader->map);
    free(reader);
    return NULL;
}

static void skip_forward(struct sl_tar_reader *reader, struct sl_span *in, size_t n)
{
    in->data += n;
    in->len -= n;
    reader->offset += n;
}

/* The next block, in the caller's memory when it lies there whole; NULL: more input is needed. */
static const uint8_t *take_block(struct sl_tar_reader *reader, struct sl_span *in)
{
    if (!reader->block_len && in->len >= SL_TAR_BLOCK) {
        const uint8_t *block = in->data;
        skip_forward(reader, in, SL_TAR_BLOCK);
        return block;
    }
    size_t n = SL_TAR_BLOCK - reader->block_len;
    n = n < in->len ? n : in->len;
    memcpy(reader->block + reader->block_len, in->data, n);
    reader->block_len += n;
    skip_forward(reader, in, n);
    if (reader->block_len < SL_TAR_BLOCK)
        return NULL;
    reader->block_len = 0;
    return reader->block;
}

static size_t padding_of(uint64_t size)
{
    return (size_t)(-size & (SL_TAR_BLOCK - 1));
}

static void begin_skip(struct sl_tar_reader *reader, uint64_t n)
{
    reader->remaining = n;
    reader->state = n ? IN_SKIP : AT_HEADER;
}

/* ---- extended headers ---- */

static int begin_meta(struct sl_tar_reader *reader, struct sl_error *err)
{
    uint64_t size = (uint64_t)reader->header.size;
    if (size > reader->limits.pax_size || size > reader->limits.pax_size - reader->meta_size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "extended headers of more than %zu bytes",
                            reader->limits.pax_size);
    reader->meta_size += size;
    reader->meta_type = reader->header.type;
    reader->remaining = size;
    reader->padding = padding_of(size);
    if (reader->meta_type == 'x') {
        reader->pax_text.len = 0;
        reader->has_pax = true;
    } else if (reader->meta_type == 'L') {
        reader->long_name.len = 0;
        reader->has_long_name = true;
    } else {
        reader->long_link.len = 0;
        reader->has_long_link = true;
    }
    if (size)
        reader->state = IN_META;
    return 0;
}

static void forget_meta(struct sl_tar_reader *reader)
{
    if (reader->has_pax)
        sl_pax_clear(&reader->pax);
    reader->has_pax = reader->has_long_name = reader->has_long_link = false;
    reader->meta_size = 0;
}

static int step_meta(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    struct sl_bytes *to = reader->meta_type == 'x'   ? &reader->pax_text
                          : reader->meta_type == 'L' ? &reader->long_name
                                                     : &reader->long_link;
    size_t n = reader->remaining < in->len ? (size_t)reader->remaining : in->len;
    int r = sl_bytes_append(to, (struct sl_span){in->data, n}, reader->limits.pax_size, err);
    if (r < 0)
        return r;
    skip_forward(reader, in, n);
    reader->remaining -= n;
    if (!reader->remaining)
        begin_skip(reader, reader->padding);
    return 0;
}

/* ---- entries ---- */

static struct sl_span long_text(const struct sl_bytes *b)
{
    return (struct sl_span){b->data, b->len ? strnlen((const char *)b->data, b->len) : 0};
}

static int set_names(struct sl_tar_reader *reader, struct sl_error *err)
{
    struct sl_tar_entry *entry = &reader->entry;
    const struct sl_tar_header *h = &reader->header;
    const struct sl_pax *pax = &reader->pax;
    entry->name = (struct sl_span){(const uint8_t *)h->name, h->name_len};
    entry->linkname = (struct sl_span){(const uint8_t *)h->link, h->link_len};
    if (pax->path.data)
        entry->name = pax->path;
    if (pax->sparse_name.data && reader->active_map)
        entry->name = pax->sparse_name;
    if (pax->linkpath.data)
        entry->linkname = pax->linkpath;
    if (reader->has_long_name && reader->long_name.len)
        entry->name = long_text(&reader->long_name);
    if (reader->has_long_link && reader->long_link.len)
        entry->linkname = long_text(&reader->long_link);
    if (entry->name.len > reader->limits.path_size ||
        entry->linkname.len > reader->limits.path_size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a path of more than %zu bytes",
                            reader->limits.path_size);
    return 0;
}

static int set_type(struct sl_tar_reader *reader, struct sl_error *err)
{
    static const char flags[] = {'1', '2', '3', '4', '5', '6'};
    static const enum sl_tar_type types[] = {SL_TAR_HARDLINK,     SL_TAR_SYMLINK, SL_TAR_CHAR,
                                             SL_TAR_BLOCK_DEVICE, SL_TAR_DIR,     SL_TAR_FIFO};
    char flag = reader->header.type;
    const char *found = flag ? memchr(flags, flag, sizeof(flags)) : NULL;
    if (found) {
        reader->entry.type = types[found - flags];
        return 0;
    }
    /* Not 'D', 'M', 'N' and 'V' either: the lists of names, continued files, long names and labels
     * of GNU tar's dumps over several tapes. GNU tar makes something of them or skips them; umoci
     * and containerd refuse them, and a layer that depends on the reader is worse than none. */
    if (flag != 0 && flag != '0' && flag != '7' && flag != 'S')
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP, "the type 0x%02x is unknown",
                            (unsigned char)flag);
    const struct sl_span name = reader->entry.name;
    reader->entry.type = SL_TAR_FILE;
    if (!name.len || name.data[name.len - 1] != '/')
        return 0;
    /* The v7 way to write a directory. Readers differ on whether content would follow it. */
    if (reader->stored || reader->active_map)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a directory has content");
    reader->entry.type = SL_TAR_DIR;
    return 0;
}

/* (uid_t)-1 means "leave it" to the kernel and can own nothing. */
static int set_id(int64_t from_header, bool has_pax, uint64_t from_pax, uint32_t *to,
                  struct sl_error *err)
{
    int64_t id = has_pax ? (int64_t)from_pax : from_header;
    if (id < 0 || id >= UINT32_MAX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the owner %" PRId64 " is not a user or group number", id);
    *to = (uint32_t)id;
    return 0;
}

static int set_device(struct sl_tar_reader *reader, struct sl_error *err)
{
    const struct sl_tar_header *h = &reader->header;
    if (h->dev_major < 0 || h->dev_major > UINT32_MAX || h->dev_minor < 0 ||
        h->dev_minor > UINT32_MAX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the device number is out of range");
    reader->entry.dev_major = (uint32_t)h->dev_major;
    reader->entry.dev_minor = (uint32_t)h->dev_minor;
    return 0;
}

static int set_attributes(struct sl_tar_reader *reader, struct sl_error *err)
{
    struct sl_tar_entry *entry = &reader->entry;
    const struct sl_tar_header *h = &reader->header;
    const struct sl_pax *pax = &reader->pax;
    entry->mode = h->mode;
    entry->mtime = pax->has_mtime ? pax->mtime : (struct timespec){h->mtime, 0};
    entry->atime = pax->has_atime ? pax->atime : entry->mtime;
    entry->xattrs = pax->xattrs;
    entry->n_xattrs = pax->n_xattrs;
    int r = set_id(h->uid, pax->has_uid, pax->uid, &entry->uid, err);
    if (r >= 0)
        r = set_id(h->gid, pax->has_gid, pax->gid, &entry->gid, err);
    return r < 0 ? r : set_device(reader, err);
}

static int check_sizes(struct sl_tar_reader *reader, struct sl_error *err)
{
    uint64_t size = reader->entry.size;
    if (size > reader->limits.file_size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "%" PRIu64 " bytes, and the limit for a file is %" PRIu64, size,
                            reader->limits.file_size);
    if (reader->stored > reader->limits.total_size - reader->total_size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the content of the files exceeds the limit of %" PRIu64 " bytes",
                            reader->limits.total_size);
    reader->total_size += reader->stored;
    return 0;
}

static int blame_entry(const struct sl_tar_reader *reader, int r, struct sl_error *err)
{
    return sl_error_wrap(err, r, "entry '%.256s'", (const char *)reader->entry.name.data);
}

static int close_entry(struct sl_tar_reader *reader, struct sl_error *err)
{
    int r = reader->sink.end(reader->sink.arg, err);
    if (r < 0)
        return blame_entry(reader, r, err);
    forget_meta(reader);
    reader->remaining = reader->padding;
    reader->state = reader->padding ? IN_PADDING : AT_HEADER;
    return 0;
}

static int describe_entry(struct sl_tar_reader *reader, struct sl_error *err)
{
    struct sl_tar_entry *entry = &reader->entry;
    const struct sl_tar_sparse *map = reader->active_map;
    int r = set_type(reader, err);
    if (r >= 0)
        r = set_attributes(reader, err);
    if (r < 0)
        return r;
    entry->is_sparse = map != NULL;
    if (!map)
        entry->size = reader->stored;
    r = map ? sl_tar_sparse_check(map, entry->size, reader->stored, err) : 0;
    return r < 0 ? r : check_sizes(reader, err);
}

/* All that describes the entry has been read, and its sparse map. */
static int open_entry(struct sl_tar_reader *reader, struct sl_error *err)
{
    int r = set_names(reader, err);
    if (r >= 0)
        r = describe_entry(reader, err);
    if (r >= 0)
        r = reader->sink.begin(reader->sink.arg, &reader->entry, err);
    if (r < 0)
        return blame_entry(reader, r, err);
    reader->extent = 0;
    reader->extent_pos = 0;
    reader->remaining = reader->stored;
    reader->state = IN_DATA;
    return reader->stored ? 0 : close_entry(reader, err);
}

static bool is_header_only(char type)
{
    return type >= '1' && type <= '6';
}

static int begin_gnu_sparse(struct sl_tar_reader *reader, const uint8_t *block,
                            struct sl_error *err)
{
    int64_t size;
    if (!reader->header.is_gnu || sl_tar_sparse_gnu_size(block, &size) < 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a sparse file header is malformed");
    sl_tar_sparse_clear(&reader->map);
    reader->active_map = &reader->map;
    reader->entry.size = (uint64_t)size;
    int r = sl_tar_sparse_add_gnu(&reader->map, block, /* is_extension= */ false, err);
    if (r <= 0)
        return r < 0 ? r : open_entry(reader, err);
    reader->state = IN_GNU_MAP;
    return 0;
}

static int begin_pax_sparse(struct sl_tar_reader *reader, struct sl_error *err)
{
    enum sl_pax_sparse form = SL_PAX_PLAIN;
    int r = sl_pax_sparse_form(&reader->pax, &form, err);
    if (r < 0)
        return r;
    if (form == SL_PAX_PLAIN)
        return open_entry(reader, err);
    if (!reader->pax.has_real_size)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a sparse file without its size");
    reader->entry.size = reader->pax.real_size;
    if (form == SL_PAX_SPARSE_0) {
        reader->active_map = &reader->pax.map;
        return open_entry(reader, err);
    }
    sl_tar_sparse_clear(&reader->map);
    reader->active_map = &reader->map;
    reader->state = IN_PAX_MAP;
    return 0;
}

static int begin_entry(struct sl_tar_reader *reader, const uint8_t *block, struct sl_error *err)
{
    char type = reader->header.type;
    if (reader->has_pax && reader->pax_text.len) {
        int r = sl_pax_parse(&reader->pax, reader->pax_text.data, reader->pax_text.len, err);
        if (r < 0)
            return r;
    }
    /* Links and directories may state a size, and have no content: so read the Go tools. */
    reader->stored = reader->pax.has_size ? reader->pax.size : (uint64_t)reader->header.size;
    if (is_header_only(type))
        reader->stored = 0;
    reader->padding = padding_of(reader->stored);
    reader->active_map = NULL;
    if (type == 'S')
        return begin_gnu_sparse(reader, block, err);
    return is_header_only(type) ? open_entry(reader, err) : begin_pax_sparse(reader, err);
}

static int step_header(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    const uint8_t *block = take_block(reader, in);
    if (!block)
        return 0;
    if (sl_tar_block_is_zero(block)) {
        if (reader->meta_size)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "an extended header describes nothing");
        reader->state = AT_END;
        return 0;
    }
    if (++reader->n_headers > reader->limits.entries)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %" PRIu64 " entries",
                            reader->limits.entries);
    int r = sl_tar_header_parse(block, &reader->header, err);
    if (r < 0)
        return r;
    if (reader->header.size < 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the size of an entry is negative");
    uint64_t size = (uint64_t)reader->header.size;
    switch (reader->header.type) {
    case 'x':
    case 'L':
    case 'K':
        return begin_meta(reader, err);
    case 'g':
        if (size > reader->limits.pax_size)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "a global header of more than %zu bytes",
                                reader->limits.pax_size);
        begin_skip(reader, size + padding_of(size));
        return 0;
    default:
        return begin_entry(reader, block, err);
    }
}

static int step_gnu_map(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    const uint8_t *block = take_block(reader, in);
    int r = block ? sl_tar_sparse_add_gnu(&reader->map, block, /* is_extension= */ true, err) : 1;
    return r ? (r < 0 ? r : 0) : open_entry(reader, err);
}

static int step_pax_map(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    if (!reader->block_len) {
        if (reader->stored < SL_TAR_BLOCK)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "the sparse map is incomplete");
        reader->stored -= SL_TAR_BLOCK;
    }
    const uint8_t *block = take_block(reader, in);
    int r = block ? sl_tar_sparse_add_block(&reader->map, block, err) : 1;
    return r ? (r < 0 ? r : 0) : open_entry(reader, err);
}

/* Hands on as much as one call can: up to the end of the input or of the extent. */
static int step_data(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    size_t n = reader->remaining < in->len ? (size_t)reader->remaining : in->len;
    uint64_t offset = reader->stored - reader->remaining;
    if (reader->active_map) {
        const struct sl_tar_extent *e = &reader->active_map->extents[reader->extent];
        while (reader->extent_pos == e->len) {
            e = &reader->active_map->extents[++reader->extent];
            reader->extent_pos = 0;
        }
        uint64_t left = e->len - reader->extent_pos;
        n = left < n ? (size_t)left : n;
        offset = e->offset + reader->extent_pos;
        reader->extent_pos += n;
    }
    int r = reader->sink.data(reader->sink.arg, (struct sl_span){in->data, n}, offset, err);
    if (r < 0)
        return blame_entry(reader, r, err);
    skip_forward(reader, in, n);
    reader->remaining -= n;
    return reader->remaining ? 0 : close_entry(reader, err);
}

static int step_padding(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    (void)err;
    size_t n = reader->remaining < in->len ? (size_t)reader->remaining : in->len;
    skip_forward(reader, in, n);
    reader->remaining -= n;
    if (!reader->remaining)
        reader->state = AT_HEADER;
    return 0;
}

static int step_skip(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    (void)err;
    size_t n = reader->remaining < in->len ? (size_t)reader->remaining : in->len;
    skip_forward(reader, in, n);
    begin_skip(reader, reader->remaining - n);
    return 0;
}

static int step_end(struct sl_tar_reader *reader, struct sl_span *in, struct sl_error *err)
{
    if (in->data[0] != 0 || memcmp(in->data, in->data + 1, in->len - 1) != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "data follows the end of the archive");
    reader->trailing += in->len;
    if (reader->trailing > TRAILING_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "more than %" PRIu64 " bytes of zeros after the end of the archive",
                            TRAILING_MAX);
    skip_forward(reader, in, in->len);
    return 0;
}

int sl_tar_reader_push(struct sl_tar_reader *reader, struct sl_span bytes, struct sl_error *err)
{
    static int (*const steps[])(struct sl_tar_reader *, struct sl_span *, struct sl_error *) = {
        [AT_HEADER] = step_header,   [IN_META] = step_meta, [IN_GNU_MAP] = step_gnu_map,
        [IN_PAX_MAP] = step_pax_map, [IN_DATA] = step_data, [IN_PADDING] = step_padding,
        [IN_SKIP] = step_skip,       [AT_END] = step_end,
    };
    while (bytes.len) {
        int r = steps[reader->state](reader, &bytes, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Some writers (umoci insert) pad neither their last entry nor their archive, and no reader minds:
 * nothing that was promised is missing. */
int sl_tar_reader_finish(struct sl_tar_reader *reader, struct sl_error *err)
{
    bool between = reader->state == AT_HEADER && !reader->block_len && !reader->meta_size;
    if (!between && reader->state != IN_PADDING && reader->state != AT_END)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the archive ends in the middle of an entry, after %" PRIu64 " bytes",
                            reader->offset);
    return 0;
}
