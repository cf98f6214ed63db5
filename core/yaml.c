/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml says what stands where; here its events become a tree, or are refused. What configuration
 * does not need and attackers do is refused: aliases (a few lines that stand for gigabytes), tags
 * (types of somebody's programming language), merge keys.
 */
#include "sluice/core/yaml.h"

#include "json_tree.h"

#include <yaml.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE_DEFAULT = 1024 * 1024,
    NODES_MAX = 64 * 1024,
};

/* What comes next in a container. */
enum turn { TURN_ITEM, TURN_NAME, TURN_VALUE };

struct reader {
    yaml_parser_t parser;
    struct sl_json_builder builder;
    enum turn turns[SL_JSON_DEPTH_CEILING + 1]; /* by depth; the document is as an array of one */
    bool has_document, is_through;
};

static int refuse(struct sl_error *err, const char *why)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s", why);
}

/* ---- scalars ---- */

static bool is_one_of(struct sl_span text, const char *const *words)
{
    for (; *words; words++)
        if (text.len == strlen(*words) && memcmp(text.data, *words, text.len) == 0)
            return true;
    return false;
}

static bool is_all(struct sl_span text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(set, text.data[i]))
            return false;
    return text.len > 0;
}

/* The base of an integer of the core schema, or 0. *ret_digits: where its digits begin. */
static int integer_base(struct sl_span text, size_t *ret_digits)
{
    static const char decimal[] = "0123456789";
    size_t sign = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    *ret_digits = sign;
    if (is_all((struct sl_span){text.data + sign, text.len - sign}, decimal))
        return 10;
    if (text.len < 3 || text.data[0] != '0')
        return 0;
    struct sl_span digits = {text.data + 2, text.len - 2};
    *ret_digits = 2;
    if (text.data[1] == 'o' && is_all(digits, "01234567"))
        return 8;
    return text.data[1] == 'x' && is_all(digits, "0123456789abcdefABCDEF") ? 16 : 0;
}

/* As JSON writes it: without plus and leading zeros, decimal. text is NUL-terminated. */
static int add_integer(struct reader *rd, struct sl_span text, int base, size_t digits,
                       struct sl_error *err)
{
    char number[sizeof("-9223372036854775808")];
    int saved = errno;
    errno = 0;
    /* With the sign, which the other bases do not have. */
    long long value = strtoll((const char *)text.data + (base == 10 ? 0 : digits), NULL, base);
    bool fits = errno == 0;
    errno = saved;
    if (!fits)
        return refuse(err, "this integer does not fit into 64 bits; quote it if it is text");
    (void)snprintf(number, sizeof(number), "%lld", value);
    return sl_json_build_text(&rd->builder, SL_JSON_NUMBER, sl_span_of(number), err);
}

static int add_plain(struct reader *rd, struct sl_span text, struct sl_error *err)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls))
        return sl_json_build_null(&rd->builder, err);
    bool is_true = is_one_of(text, trues);
    if (is_true || is_one_of(text, falses))
        return sl_json_build_bool(&rd->builder, is_true, err);
    size_t digits = 0;
    int base = integer_base(text, &digits);
    if (base)
        return add_integer(rd, text, base, digits, err);
    return sl_json_build_text(&rd->builder, SL_JSON_STRING, text, err);
}

static int add_name(struct reader *rd, struct sl_span text, bool is_plain, struct sl_error *err)
{
    if (is_plain && text.len == 2 && memcmp(text.data, "<<", 2) == 0)
        return refuse(err, "merge keys are not read");
    return sl_json_build_name(&rd->builder, text, err);
}

/* ---- events ---- */

static enum turn *turn(struct reader *rd)
{
    return &rd->turns[rd->builder.depth];
}

/* For a value: whose turn it is afterwards. */
static int take_turn(struct reader *rd, struct sl_error *err)
{
    if (*turn(rd) == TURN_NAME)
        return refuse(err, "a key must be a scalar");
    if (*turn(rd) == TURN_VALUE)
        *turn(rd) = TURN_NAME;
    return 0;
}

static int on_scalar(struct reader *rd, const yaml_event_t *event, struct sl_error *err)
{
    struct sl_span text = {event->data.scalar.value, event->data.scalar.length};
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (*turn(rd) == TURN_NAME) {
        *turn(rd) = TURN_VALUE;
        return add_name(rd, text, is_plain, err);
    }
    int r = take_turn(rd, err);
    if (r < 0)
        return r;
    return is_plain ? add_plain(rd, text, err)
                    : sl_json_build_text(&rd->builder, SL_JSON_STRING, text, err);
}

static int on_start(struct reader *rd, enum sl_json_type type, struct sl_error *err)
{
    int r = take_turn(rd, err);
    if (r == 0)
        r = sl_json_build_open(&rd->builder, type, err);
    if (r == 0)
        *turn(rd) = type == SL_JSON_OBJECT ? TURN_NAME : TURN_ITEM;
    return r;
}

static int on_document(struct reader *rd, struct sl_error *err)
{
    if (rd->has_document)
        return refuse(err, "a second document begins; one is read");
    rd->has_document = true;
    return 0;
}

/* Only these three kinds of events have an anchor and a tag. */
static bool is_decorated(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    default:
        return event->type == YAML_ALIAS_EVENT;
    }
}

static int on_event(struct reader *rd, const yaml_event_t *event, struct sl_error *err)
{
    if (is_decorated(event))
        return refuse(err, "anchors, aliases and tags are not read");
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(rd, err);
    case YAML_SCALAR_EVENT:
        return on_scalar(rd, event, err);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(rd, SL_JSON_ARRAY, err);
    case YAML_MAPPING_START_EVENT:
        return on_start(rd, SL_JSON_OBJECT, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        sl_json_build_close(&rd->builder);
        return 0;
    case YAML_STREAM_END_EVENT:
        rd->is_through = true;
        return 0;
    default:
        return 0;
    }
}

/* ---- the text ---- */

/* libyaml's words are fixed: they quote nothing, which may be a secret. */
static int syntax_error(const yaml_parser_t *parser, struct sl_error *err)
{
    const char *problem = parser->problem ? parser->problem : "syntax error";
    if (parser->error == YAML_MEMORY_ERROR)
        return sl_error_oom(err);
    if (parser->error == YAML_READER_ERROR)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not readable as YAML: byte %zu: %s",
                            parser->problem_offset, problem);
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "not readable as YAML: line %zu, column %zu: %s",
                        parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem);
}

static int read_event(struct reader *rd, struct sl_error *err)
{
    yaml_event_t event;
    if (!yaml_parser_parse(&rd->parser, &event))
        return syntax_error(&rd->parser, err);
    int r = on_event(rd, &event, err);
    if (r < 0)
        r = sl_error_wrap(err, r, "line %zu, column %zu", event.start_mark.line + 1,
                          event.start_mark.column + 1);
    if (event.type == YAML_SCALAR_EVENT)
        sl_wipe(event.data.scalar.value, event.data.scalar.length);
    yaml_event_delete(&event);
    return r;
}

/* What libyaml has read, as it was and decoded: it may hold a PIN. */
static void wipe_buffers(const yaml_parser_t *parser)
{
    sl_wipe(parser->raw_buffer.start, (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    sl_wipe(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
}

static int read_document(struct reader *rd, struct sl_span text, struct sl_error *err)
{
    if (!yaml_parser_initialize(&rd->parser))
        return sl_error_oom(err);
    yaml_parser_set_encoding(&rd->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&rd->parser, text.data, text.len);
    int r = 0;
    while (r == 0 && !rd->is_through)
        r = read_event(rd, err);
    wipe_buffers(&rd->parser);
    yaml_parser_delete(&rd->parser);
    return r;
}

int sl_yaml_parse(struct sl_span text, const char *what, const struct sl_json_limits *limits,
                  struct sl_json_doc **ret, struct sl_error *err)
{
    size_t size = limits && limits->size ? limits->size : SIZE_DEFAULT;
    if (text.len > size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: larger than %zu bytes", what, size);
    struct reader rd = {0};
    int r = sl_json_builder_init(&rd.builder, limits ? limits->depth : 0, NODES_MAX, err);
    if (r == 0)
        r = read_document(&rd, text, err);
    if (r == 0)
        *ret = sl_steal(&rd.builder.doc);
    sl_json_builder_done(&rd.builder);
    return r < 0 ? sl_error_wrap(err, r, "%s", what) : 0;
}
