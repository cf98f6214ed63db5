/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lower bound: no pull of this image with so many cores can end sooner, as long as each layer's
 * stream is decoded, hashed and unpacked by one thread at a time.
 */
#include "limit_parts.h"

static const char *const part_names[LIMIT_PARTS] = {
    [LIMIT_RECEIVE] = "receive", [LIMIT_SERVER] = "registry",     [LIMIT_SUMS] = "sums",
    [LIMIT_CIPHER] = "cipher",   [LIMIT_INFLATE] = "inflate",     [LIMIT_DIFF_ID] = "diff_id",
    [LIMIT_TREE] = "tree",       [LIMIT_WRITE_OUT] = "write-out",
};

static const char *const reason_names[LIMIT_REASONS] = {
    [LIMIT_BY_CPU] = "cpu",         [LIMIT_BY_RECEIVE] = "receive",
    [LIMIT_BY_SERVER] = "registry", [LIMIT_BY_CIPHER] = "cipher",
    [LIMIT_BY_INFLATE] = "inflate", [LIMIT_BY_DIFF_ID] = "diff_id",
    [LIMIT_BY_TREE] = "tree",       [LIMIT_BY_WRITE_OUT] = "write-out",
    [LIMIT_BY_LINK] = "link",
};

const char *limit_part_name(enum limit_part part)
{
    return part_names[part];
}

const char *limit_reason_name(enum limit_reason reason)
{
    return reason_names[reason];
}

double limit_layer_cpu(const struct limit_layer *l)
{
    double sum = 0;
    for (int part = 0; part < LIMIT_PARTS; part++)
        sum += l->costs[part].cpu;
    return sum;
}

double limit_total_cpu(const struct limit_image *image)
{
    double sum = 0;
    for (size_t i = 0; i < image->n_layers; i++)
        sum += limit_layer_cpu(&image->layers[i]);
    return sum;
}

/* A part that several threads share takes less wall time than CPU, one that waits takes more: for
 * a bound the lesser. */
static double lane(const struct limit_layer *l, enum limit_part part)
{
    const struct limit_cost *cost = &l->costs[part];
    return cost->wall < cost->cpu ? cost->wall : cost->cpu;
}

static void raise_to(struct limit_bound *bound, double seconds, enum limit_reason reason,
                     size_t layer)
{
    if (seconds > bound->seconds)
        *bound = (struct limit_bound){.seconds = seconds, .reason = reason, .layer = layer};
}

static void raise_to_lanes(struct limit_bound *bound, const struct limit_layer *l, size_t i)
{
    raise_to(bound, lane(l, LIMIT_RECEIVE), LIMIT_BY_RECEIVE, i);
    raise_to(bound, lane(l, LIMIT_SERVER), LIMIT_BY_SERVER, i);
    raise_to(bound, lane(l, LIMIT_SUMS) + lane(l, LIMIT_CIPHER), LIMIT_BY_CIPHER, i);
    raise_to(bound, lane(l, LIMIT_INFLATE), LIMIT_BY_INFLATE, i);
    raise_to(bound, lane(l, LIMIT_DIFF_ID), LIMIT_BY_DIFF_ID, i);
    raise_to(bound, lane(l, LIMIT_TREE), LIMIT_BY_TREE, i);
    /* From the first file to the end of syncfs: the disk waits for the files. */
    raise_to(bound, l->costs[LIMIT_WRITE_OUT].wall, LIMIT_BY_WRITE_OUT, i);
}

struct limit_bound limit_bound_of(const struct limit_image *image, unsigned cores)
{
    struct limit_bound bound = {.seconds = limit_total_cpu(image) / cores, .reason = LIMIT_BY_CPU};
    double link = 0;
    for (size_t i = 0; i < image->n_layers; i++) {
        raise_to_lanes(&bound, &image->layers[i], i);
        link += image->layers[i].costs[LIMIT_RECEIVE].wall;
    }
    /* On this machine the wire is CPU, which has been counted. */
    if (!image->server)
        raise_to(&bound, link, LIMIT_BY_LINK, 0);
    return bound;
}
