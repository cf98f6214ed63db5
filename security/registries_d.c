/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manual says that the most specific section counts; what tools do, and what is done here, is
 * to go on to less specific ones, and to default-docker at last, as long as the wanted field is
 * not set.
 */
#include "image_scope.h"
#include "sluice/core/log.h"
#include "sluice/core/yaml.h"
#include "sluice/lookaside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_MAX = 1024,           /* of one folder */
    SECTIONS_MAX = 4096,        /* over all files */
    FILE_SIZE_MAX = 1024 * 1024 /* bytes */
};

enum url_field { LOOKASIDE, LOOKASIDE_STAGING, SIGSTORE, SIGSTORE_STAGING, N_URL_FIELDS };

static const char *const url_names[N_URL_FIELDS] = {
    [LOOKASIDE] = "lookaside",
    [LOOKASIDE_STAGING] = "lookaside-staging",
    [SIGSTORE] = "sigstore", /* the older name of lookaside */
    [SIGSTORE_STAGING] = "sigstore-staging",
};
static const char attachments_name[] = "use-sigstore-attachments";

struct section {
    char *scope; /* NULL: default-docker */
    char *file;  /* where it stands */
    char *urls[N_URL_FIELDS];
    bool has_attachments, use_attachments;
};

struct sl_registries_d {
    struct section *sections;
    size_t n;
    bool compat_image_rs;
};

/* ---- sections ---- */

static void section_done(struct section *s)
{
    free(s->scope);
    free(s->file);
    for (size_t i = 0; i < N_URL_FIELDS; i++)
        free(s->urls[i]);
}

struct sl_registries_d *sl_registries_d_free(struct sl_registries_d *config)
{
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->n; i++)
        section_done(&config->sections[i]);
    free(config->sections);
    free(config);
    return NULL;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct section *find_section(const struct sl_registries_d *config, const char *scope)
{
    for (size_t i = 0; i < config->n; i++)
        if (is_same_text(config->sections[i].scope, scope))
            return &config->sections[i];
    return NULL;
}

static bool says_the_same(const struct section *a, const struct section *b)
{
    for (size_t i = 0; i < N_URL_FIELDS; i++)
        if (!is_same_text(a->urls[i], b->urls[i]))
            return false;
    return a->has_attachments == b->has_attachments && a->use_attachments == b->use_attachments;
}

/* Moves *section into the configuration, also on failure. */
static int add_section(struct sl_registries_d *config, struct section *section,
                       struct sl_error *err)
{
    const struct section *other = find_section(config, section->scope);
    if (other && config->compat_image_rs && says_the_same(other, section)) {
        section_done(section);
        return 0;
    }
    int r = 0;
    if (other)
        r = sl_error_set(err, SL_E_FORMAT, EEXIST, "stands in %s already", other->file);
    else if (config->n == SECTIONS_MAX)
        r = sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d sections", SECTIONS_MAX);
    struct section *longer =
        r < 0 ? NULL : realloc(config->sections, (config->n + 1) * sizeof(*longer));
    if (!longer) {
        section_done(section);
        return r < 0 ? r : sl_error_oom(err);
    }
    config->sections = longer;
    longer[config->n++] = *section;
    return 0;
}

/* ---- parsing ---- */

static int wrong(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s", what);
}

static int parse_url(const struct sl_json *node, char **ret, struct sl_error *err)
{
    const char *text = sl_json_string(node);
    if (!text)
        return wrong(err, "must be a URL");
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

/* Unknown members are nobody's harm: other readers have some of their own. */
static int parse_member(const char *name, const struct sl_json *node, struct section *section,
                        struct sl_error *err)
{
    for (size_t i = 0; i < N_URL_FIELDS; i++)
        if (strcmp(name, url_names[i]) == 0)
            return parse_url(node, &section->urls[i], err);
    if (strcmp(name, attachments_name) == 0) {
        section->has_attachments = sl_json_bool(node, &section->use_attachments);
        return section->has_attachments ? 0 : wrong(err, "must be true or false");
    }
    sl_log(SL_LOG_WARN, "%s: unknown member '%.100s' is ignored", section->file, name);
    return 0;
}

static int fill_section(const struct sl_json *node, struct section *section, struct sl_error *err)
{
    if (node && sl_json_type(node) != SL_JSON_OBJECT && sl_json_type(node) != SL_JSON_NULL)
        return wrong(err, "must be a section with lookaside and the like");
    for (size_t i = 0; i < sl_json_count(node); i++) {
        const char *name = sl_json_name_at(node, i);
        int r = parse_member(name, sl_json_at(node, i), section, err);
        if (r < 0)
            return sl_error_wrap(err, r, "'%.100s'", name);
    }
    return 0;
}

/* scope NULL: default-docker */
static int parse_section(struct sl_registries_d *config, const char *scope, const char *file,
                         const struct sl_json *node, struct sl_error *err)
{
    struct section section = {.scope = scope ? strdup(scope) : NULL, .file = strdup(file)};
    int r = (scope && !section.scope) || !section.file ? sl_error_oom(err)
                                                       : fill_section(node, &section, err);
    if (r < 0)
        section_done(&section);
    else
        r = add_section(config, &section, err);
    return r < 0 ? sl_error_wrap(err, r, "section '%.200s'", scope ? scope : "default-docker") : 0;
}

static int parse_scopes(struct sl_registries_d *config, const char *file,
                        const struct sl_json *scopes, struct sl_error *err)
{
    if (sl_json_type(scopes) != SL_JSON_OBJECT && sl_json_type(scopes) != SL_JSON_NULL)
        return wrong(err, "'docker' must hold scopes");
    for (size_t i = 0; i < sl_json_count(scopes); i++) {
        int r = parse_section(config, sl_json_name_at(scopes, i), file, sl_json_at(scopes, i), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_top(struct sl_registries_d *config, const char *file, const struct sl_json *root,
                     struct sl_error *err)
{
    if (sl_json_type(root) != SL_JSON_OBJECT && sl_json_type(root) != SL_JSON_NULL)
        return wrong(err, "must hold default-docker and docker");
    for (size_t i = 0; i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        const struct sl_json *node = sl_json_at(root, i);
        int r = 0;
        if (strcmp(name, "default-docker") == 0)
            r = parse_section(config, NULL, file, node, err);
        else if (strcmp(name, "docker") == 0)
            r = parse_scopes(config, file, node, err);
        else
            sl_log(SL_LOG_WARN, "%s: unknown member '%.100s' is ignored", file, name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_file(struct sl_registries_d *config, const char *file, struct sl_span yaml,
                      struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_yaml_parse(yaml, file, NULL, &doc, err);
    if (r < 0)
        return r;
    r = parse_top(config, file, sl_json_root(doc), err);
    return r < 0 ? sl_error_wrap(err, r, "%s", file) : 0;
}

/* ---- files ---- */

static int is_yaml(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_type != DT_DIR && len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_entry(struct sl_registries_d *config, int dirfd, const char *folder,
                     const char *name, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_error why = {0};
    SL_AUTO_FREE char *shown = sl_strf("%s/%s", folder, name);
    if (!shown)
        return sl_error_oom(err);
    int r = sl_read_file(dirfd, name, FILE_SIZE_MAX, &text, &why);
    if (r == -ENOENT)
        return 0; /* gone since it was listed */
    if (r == 0)
        r = parse_file(config, shown, sl_bytes_span(&text), &why);
    else
        r = sl_error_wrap(&why, r, "%s", folder);
    if (r < 0 && err)
        *err = why;
    return r;
}

static int add_folder(struct sl_registries_d *config, const char *folder, struct sl_error *err)
{
    SL_AUTO_FD fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "%s", folder);
    struct dirent **entries = NULL;
    int n = scandirat(fd, ".", &entries, is_yaml, by_name);
    if (n < 0)
        return sl_error_system(err, errno, "%s", folder);
    int r = 0;
    if (n > FILES_MAX)
        r = sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: more than %d files", folder, FILES_MAX);
    for (int i = 0; r == 0 && i < n; i++)
        r = add_entry(config, fd, folder, entries[i]->d_name, err);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return r;
}

static int add_default_folder(struct sl_registries_d *config, struct sl_error *err)
{
    struct sl_error why;
    int r = add_folder(config, SL_REGISTRIES_D_PATH, &why);
    if (r == -ENOENT)
        return 0;
    if (r < 0 && err)
        *err = why;
    return r;
}

static bool is_folder(const char *name)
{
    struct stat st;
    return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_named(struct sl_registries_d *config, const struct sl_resources *resources,
                     const char *name, struct sl_error *err)
{
    if (is_folder(name))
        return add_folder(config, name, err);
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_resource_get(resources, name, FILE_SIZE_MAX, &text, err);
    return r < 0 ? r : parse_file(config, name, sl_bytes_span(&text), err);
}

int sl_registries_d_open(const struct sl_resources *resources, const char *name,
                         bool compat_image_rs, struct sl_registries_d **ret, struct sl_error *err)
{
    SL_AUTO(sl_registries_d) config = calloc(1, sizeof(*config));
    if (!config)
        return sl_error_oom(err);
    config->compat_image_rs = compat_image_rs;
    int r = name ? add_named(config, resources, name, err) : add_default_folder(config, err);
    if (r < 0)
        return sl_error_wrap(err, r, "lookaside configuration");
    *ret = sl_steal(&config);
    return 0;
}

int sl_registries_d_parse(struct sl_span yaml, const char *what, bool compat_image_rs,
                          struct sl_registries_d **ret, struct sl_error *err)
{
    SL_AUTO(sl_registries_d) config = calloc(1, sizeof(*config));
    if (!config)
        return sl_error_oom(err);
    config->compat_image_rs = compat_image_rs;
    int r = parse_file(config, what, yaml, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&config);
    return 0;
}

/* ---- looking up ---- */

static const char *first_of(const struct section *s, const enum url_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s->urls[fields[i]] && s->urls[fields[i]][0])
            return s->urls[fields[i]];
    return NULL;
}

struct search {
    struct sl_lookaside found;
    bool has_attachments;
};

static void consult(const struct section *s, struct search *search)
{
    static const enum url_field reading[] = {LOOKASIDE, SIGSTORE};
    static const enum url_field writing[] = {LOOKASIDE_STAGING, SIGSTORE_STAGING, LOOKASIDE,
                                             SIGSTORE};
    if (!s)
        return;
    if (!search->found.read_url)
        search->found.read_url = first_of(s, reading, sizeof(reading) / sizeof(reading[0]));
    if (!search->found.write_url)
        search->found.write_url = first_of(s, writing, sizeof(writing) / sizeof(writing[0]));
    if (!search->has_attachments && s->has_attachments) {
        search->has_attachments = true;
        search->found.use_attachments = s->use_attachments;
    }
}

static int check_scheme(const char *url, struct sl_error *err)
{
    static const char *const schemes[] = {"file:///", "https://", "http://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
            return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "lookaside configuration: '%.200s' is no file:///, https:// or http:// URL",
                        url);
}

int sl_registries_d_find(const struct sl_registries_d *config, const char *name,
                         struct sl_lookaside *ret, struct sl_error *err)
{
    char **scopes = NULL;
    int r = sl_image_scopes(name, &scopes, err);
    if (r < 0)
        return r;
    struct search search = {.found = {.use_attachments = true}};
    for (char **scope = scopes; *scope; scope++)
        consult(find_section(config, *scope), &search);
    consult(find_section(config, NULL), &search);
    sl_image_scopes_free(scopes);
    if (!search.found.read_url)
        search.found.read_url = SL_LOOKASIDE_DEFAULT;
    if (!search.found.write_url)
        search.found.write_url = SL_LOOKASIDE_DEFAULT;
    r = check_scheme(search.found.read_url, err);
    if (r == 0)
        r = check_scheme(search.found.write_url, err);
    if (r < 0)
        return r;
    *ret = search.found;
    return 0;
}
