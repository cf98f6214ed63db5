/* SPDX-License-Identifier: Apache-2.0 */
#include "own_mounts.h"
#include "staged_layer.h"
#include "store_fixture.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>

static int set_up(void **state)
{
    *state = fixture_new("/tmp", "store");
    return 0;
}

static int tear_down(void **state)
{
    fixture_free(*state);
    return 0;
}

static struct sl_gc_result gc(struct sl_store *store, bool dry_run)
{
    struct sl_gc_result result = {0};
    assert_ok(sl_store_gc(store, dry_run, &result, ok_err));
    return result;
}

static void layer_path(unsigned n, const char *below, char out[SL_STORE_PATH_MAX])
{
    struct sl_digest id = layer_id(n);
    sl_store_path(out, "layers", &id, below);
}

/* ---- commits ---- */

static void store_layer_committed_is_found_after_reopen(void **state)
{
    struct store_fixture *f = *state;
    struct sl_blob_record record;
    struct sl_digest layer = layer_id(1);
    struct sl_digest blob = blob_id(1);
    assert_int_equal(sl_store_has_layer(f->store, &layer, NULL), 0);
    assert_int_equal(sl_store_find_blob(f->store, &blob, &record, NULL), 0);
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    fixture_reopen(f);
    assert_int_equal(sl_store_has_layer(f->store, &layer, NULL), 1);
    assert_int_equal(sl_store_find_blob(f->store, &blob, &record, NULL), 1);
    assert_true(sl_digest_is_equal(&record.diff_id, &layer));
    assert_true(sl_digest_is_equal(&record.blob, &blob));
    assert_int_equal(record.key_check[31], 1);
    char path[SL_STORE_PATH_MAX];
    layer_path(1, "/fs/file", path);
    assert_text(f->store->fd, path, "file");
    assert_int_equal(count_names(f->store, "staging"), 0);
}

static void commit_without_pass_is_refused(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    struct sl_layer_commit commit = new_commit(staged, 1, 1);
    sl_layers_commit(&commit, NULL);
    assert_int_equal(commit.result, -EPERM);
    assert_int_equal(commit.error.code, SL_E_POLICY);
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
    assert_int_equal(sl_image_commit(f->store, NULL, image, &err), -EPERM);
    assert_int_equal(count_names(f->store, "layers/sha256"), 0);
}

static void layer_not_committed_leaves_nothing(void **state)
{
    struct store_fixture *f = *state;
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    put_file(sl_staged_layer_fd(staged), "file", "text");
    assert_int_equal(count_names(f->store, "staging"), 1);
    staged = sl_staged_layer_free(staged);
    assert_int_equal(count_names(f->store, "staging"), 0);
    assert_int_equal(count_names(f->store, "layers/sha256"), 0);
}

static void layer_of_second_blob_is_recorded_only(void **state)
{
    struct store_fixture *f = *state;
    char path[SL_STORE_PATH_MAX];
    PUT_LAYER(f->store, 1, {'f', "first", 0});
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    put_file(sl_staged_layer_fd(staged), "second", "");
    assert_ok(commit_as(staged, 1, 2, ok_err));
    staged = sl_staged_layer_free(staged);
    layer_path(1, "/fs/first", path);
    assert_true(is_there(f->store->fd, path));
    layer_path(1, "/fs/second", path);
    assert_false(is_there(f->store->fd, path));
    struct sl_blob_record record;
    struct sl_digest second = blob_id(2);
    struct sl_digest layer = layer_id(1);
    assert_int_equal(sl_store_find_blob(f->store, &second, &record, NULL), 1);
    assert_true(sl_digest_is_equal(&record.diff_id, &layer));
    assert_int_equal(count_names(f->store, "staging"), 0);
}

/* ---- several at once ---- */

static unsigned n_steps[4];
static const char *const steps_seen[4] = {"described", "synced", "renamed", "durable"};

/* Whatever is renamed was described and synced before, with all that goes with it. */
static void see_order(const char *step)
{
    for (unsigned i = 0; i < 4; i++)
        n_steps[i] += strcmp(step, steps_seen[i]) == 0;
    if (strcmp(step, "described") == 0)
        assert_int_equal(n_steps[1], 0);
    if (strcmp(step, "renamed") == 0)
        assert_int_equal(n_steps[1], 1);
}

/* One for each of three layers; to be freed with the list. */
static void stage_three(struct store_fixture *f, struct sl_layer_commit commits[3])
{
    for (unsigned i = 0; i < 3; i++) {
        struct sl_staged_layer *staged = NULL;
        assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
        put_file(sl_staged_layer_fd(staged), "file", "text");
        commits[i] = new_commit(staged, i + 1, i + 1);
        if (i > 0)
            commits[i - 1].next = &commits[i];
    }
}

static void free_staged(struct sl_layer_commit commits[3])
{
    for (unsigned i = 0; i < 3; i++)
        commits[i].staged = sl_staged_layer_free(commits[i].staged);
}

static void layers_committed_together_are_synced_once(void **state)
{
    struct store_fixture *f = *state;
    struct sl_layer_commit commits[3];
    f->store->is_volatile = false;
    stage_three(f, commits);
    memset(n_steps, 0, sizeof(n_steps));
    f->store->step_hook = see_order;
    sl_layers_commit(commits, test_pass);
    f->store->step_hook = NULL;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(commits[i].result, 0);
        assert_true(commits[i].sync_seconds > 0);
    }
    assert_int_equal(n_steps[0], 3);
    assert_int_equal(n_steps[1], 1);
    assert_int_equal(n_steps[2], 3);
    assert_int_equal(n_steps[3], 1);
    free_staged(commits);
    assert_int_equal(count_names(f->store, "layers/sha256"), 3);
    assert_int_equal(count_names(f->store, "blobs/sha256"), 3);
    assert_int_equal(count_names(f->store, "staging"), 0);
}

static void layer_that_cannot_be_committed_does_not_keep_others_out(void **state)
{
    struct store_fixture *f = *state;
    struct sl_layer_commit commits[3];
    stage_three(f, commits);
    commits[0].result = -EBADMSG; /* did not pass */
    commits[0].error.code = SL_E_INTEGRITY;
    /* What its record would be written over is a folder that is not empty. */
    char path[SL_STORE_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/layer.json", commits[1].staged->entry.path);
    assert_int_equal(mkdirat(f->store->fd, path, 0700), 0);
    sl_layers_commit(commits, test_pass);
    assert_int_equal(commits[0].result, -EBADMSG);
    assert_int_equal(commits[0].error.code, SL_E_INTEGRITY);
    assert_int_equal(commits[1].result, -EISDIR);
    assert_int_equal(commits[1].error.code, SL_E_SYSTEM);
    assert_int_equal(commits[2].result, 0);
    free_staged(commits);
    char only[SL_STORE_PATH_MAX];
    layer_path(3, "/fs/file", only);
    assert_text(f->store->fd, only, "text");
    assert_int_equal(count_names(f->store, "layers/sha256"), 1);
    assert_int_equal(count_names(f->store, "blobs/sha256"), 1);
    assert_int_equal(count_names(f->store, "staging"), 0);
}

static void image_without_its_layers_is_refused(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1, 2);
    assert_int_equal(sl_image_commit(f->store, test_pass, image, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_int_equal(count_names(f->store, "images/sha256"), 0);
    assert_int_equal(count_names(f->store, "refs"), 0);
    assert_int_equal(count_names(f->store, "staging"), 0);
}

/* ---- death ---- */

static const char *fatal_step;

static void die_at_step(const char *step)
{
    if (strcmp(step, fatal_step) == 0)
        (void)raise(SIGKILL);
}

static void pull_all(struct sl_store *store)
{
    PUT_LAYER(store, 1, {'d', "dir", 0750}, {'f', "dir/file", 0}, {'i', "im", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "registry/name:tag", 1);
    assert_ok(sl_image_commit(store, test_pass, image, ok_err));
}

static void kill_at(struct store_fixture *f, const char *step)
{
    fatal_step = step;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sl_store *store = NULL;
        if (sl_store_open(f->root, &store, NULL) < 0)
            _exit(1);
        store->step_hook = die_at_step;
        pull_all(store);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* What must hold whatever happened: nothing is half there. */
static void check_invariants(struct sl_store *store)
{
    char path[SL_STORE_PATH_MAX];
    struct sl_digest layer = layer_id(1);
    struct sl_digest blob = blob_id(1);
    struct sl_blob_record record;
    assert_int_equal(count_names(store, "staging"), 0);
    int has_layer = sl_store_has_layer(store, &layer, NULL);
    if (has_layer) {
        layer_path(1, "/fs/dir/file", path);
        assert_text(store->fd, path, "dir/file");
        layer_path(1, "/layer.json", path);
        assert_true(is_there(store->fd, path));
    }
    if (sl_store_find_blob(store, &blob, &record, NULL))
        assert_int_equal(has_layer, 1);
    struct sl_image_record **images = NULL;
    assert_ok(sl_store_list_images(store, &images, ok_err));
    if (images[0])
        assert_int_equal(has_layer, 1);
    if (count_names(store, "refs") > 0)
        assert_non_null(images[0]);
    free_list(images);
}

static void pull_killed_at_each_step_leaves_old_or_new_state(void **state)
{
    struct store_fixture *f = *state;
    static const struct {
        const char *step;
        unsigned layers, blobs, images, refs;
    } cases[] = {
        {"staged", 0, 0, 0, 0},       {"described", 0, 0, 0, 0},     {"synced", 0, 0, 0, 0},
        {"renamed", 1, 0, 0, 0},      {"blob-recorded", 1, 1, 0, 0}, {"durable", 1, 1, 0, 0},
        {"image-staged", 1, 1, 0, 0}, {"image-written", 1, 1, 1, 0}, {"ref-written", 1, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kill_at(f, cases[i].step);
        fixture_reopen(f);
        check_invariants(f->store);
        assert_int_equal(count_names(f->store, "layers/sha256"), cases[i].layers);
        assert_int_equal(count_names(f->store, "blobs/sha256"), cases[i].blobs);
        assert_int_equal(count_names(f->store, "images/sha256"), cases[i].images);
        assert_int_equal(count_names(f->store, "refs"), cases[i].refs);
        pull_all(f->store);
        check_invariants(f->store);
        assert_ok(sl_store_remove_image(f->store, "registry/name:tag", false, ok_err));
        struct sl_gc_result result = gc(f->store, false);
        assert_int_equal(result.layers, 1);
        assert_int_equal(result.images, 1);
        assert_int_equal(result.blobs, 1);
        assert_int_equal(count_names(f->store, "layers/sha256"), 0);
    }
}

static void staging_of_the_living_survives_an_open(void **state)
{
    struct store_fixture *f = *state;
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    struct sl_store *other = NULL;
    assert_ok(sl_store_open(f->root, &other, ok_err));
    assert_int_equal(count_names(f->store, "staging"), 1);
    assert_int_equal(gc(other, false).staging, 0);
    put_file(sl_staged_layer_fd(staged), "file", "text");
    assert_ok(commit_as(staged, 1, 1, ok_err));
    sl_store_close(other);
}

enum { N_RACES = 10 };

static void commit_many(const char *root, unsigned blobs)
{
    struct sl_store *store = NULL;
    if (sl_store_open(root, &store, NULL) < 0)
        _exit(1);
    for (unsigned i = 0; i < N_RACES; i++) {
        SL_AUTO(sl_staged_layer) staged = NULL;
        if (sl_staged_layer_new(store, &staged, NULL) < 0)
            _exit(2);
        put_file(sl_staged_layer_fd(staged), "file", "text");
        if (commit_as(staged, i, blobs + i, NULL) < 0)
            _exit(3);
        /* What this process just committed is held: no gc takes it away. */
        struct sl_digest layer = layer_id(i);
        struct sl_gc_result result;
        if (sl_store_gc(store, false, &result, NULL) < 0)
            _exit(4);
        if (sl_store_has_layer(store, &layer, NULL) != 1)
            _exit(5);
    }
    _exit(0);
}

static void commits_of_two_processes_and_gc_do_not_disturb_each_other(void **state)
{
    struct store_fixture *f = *state;
    pid_t pids[2];
    for (unsigned i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            commit_many(f->root, 1000 * i);
    }
    for (unsigned i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_names(f->store, "staging"), 0);
    (void)gc(f->store, false);
    assert_int_equal(count_names(f->store, "layers/sha256"), 0);
    assert_int_equal(count_names(f->store, "blobs/sha256"), 0);
}

/* ---- locks and holds ---- */

static void layer_lock_is_exclusive_until_closed(void **state)
{
    struct store_fixture *f = *state;
    struct sl_digest layer = layer_id(1);
    struct sl_error err = {.code = SL_OK};
    int first = -1;
    int second = -1;
    assert_ok(sl_store_lock_layer(f->store, &layer, NULL, &first, ok_err));
    assert_int_equal(sl_store_lock_layer(f->store, &layer, NULL, &second, &err), -EAGAIN);
    assert_int_equal(err.code, SL_OK);
    (void)gc(f->store, false);
    assert_int_equal(count_names(f->store, "locks"), 1);
    close(first);
    assert_ok(sl_store_lock_layer(f->store, &layer, NULL, &second, ok_err));
    close(second);
    (void)gc(f->store, false);
    assert_int_equal(count_names(f->store, "locks"), 0);
}

/* Blocks until the watch says something, and reads it empty. */
static void await_watch(int watch_fd)
{
    char events[4096];
    struct pollfd p = {.fd = watch_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, -1), 1);
    while (read(watch_fd, events, sizeof(events)) > 0)
        continue;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void layer_lock_waited_for_says_when_it_is_free(void **state)
{
    struct store_fixture *f = *state;
    struct sl_digest layer = layer_id(1);
    int first = -1, second = -1;
    SL_AUTO_FD watch = -1;
    struct sl_layer_wait wait = {.watch_fd = &watch, .fd = -1};
    assert_int_equal(sl_store_is_layer_locked(f->store, &layer, NULL), 0);
    assert_ok(sl_store_lock_layer(f->store, &layer, NULL, &first, ok_err));
    assert_int_equal(sl_store_is_layer_locked(f->store, &layer, NULL), 1);
    for (int i = 0; i < 3; i++) /* looking does not wake the one who looks */
        assert_int_equal(sl_store_lock_layer(f->store, &layer, &wait, &second, NULL), -EAGAIN);
    assert_false(is_readable(watch));
    sl_store_unlock_layer(f->store, &layer, &first);
    await_watch(watch);
    assert_ok(sl_store_lock_layer(f->store, &layer, &wait, &second, ok_err));
    assert_int_equal(wait.fd, -1);
    sl_store_unlock_layer(f->store, &layer, &second);
    assert_int_equal(count_names(f->store, "locks"), 0);
}

/* Of a user namespace of one's own, which has its own limits; false where nobody may have one. */
static bool use_up_watches(void)
{
    SL_AUTO_FD fd = -1;
    if (unshare(CLONE_NEWUSER) == 0)
        fd = open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "0", 1) == 1;
}

/* The kernel's word for it is that of a full disk, for which images would be removed. */
static void layer_lock_without_watches_is_no_full_disk(void **state)
{
    enum { SKIPPED = 77 };
    struct store_fixture *f = *state;
    struct sl_digest layer = layer_id(1);
    int first = -1, status = 0;
    assert_ok(sl_store_lock_layer(f->store, &layer, NULL, &first, ok_err));
    pid_t child = fork();
    if (child == 0) {
        struct sl_error err = {0};
        int watch = -1, second = -1;
        struct sl_layer_wait wait = {.watch_fd = &watch, .fd = -1};
        if (!use_up_watches())
            _exit(SKIPPED);
        int r = sl_store_lock_layer(f->store, &layer, &wait, &second, &err);
        _exit(r == -EMFILE && err.code == SL_E_LIMIT ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    sl_store_unlock_layer(f->store, &layer, &first);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

/* The holder dies without a word; the waiter must notice. */
static void layer_lock_of_the_dead_is_taken_over(void **state)
{
    struct store_fixture *f = *state;
    struct sl_digest layer = layer_id(1);
    SL_AUTO_FD watch = -1;
    struct sl_layer_wait wait = {.watch_fd = &watch, .fd = -1};
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t holder = fork();
    if (holder == 0) {
        int fd = -1;
        int r = sl_store_lock_layer(f->store, &layer, NULL, &fd, NULL);
        if (r == 0 && write(told[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    char byte;
    assert_int_equal(read(told[0], &byte, 1), 1);
    /* Whether the kill comes before or after we begin to wait, the lock must come. */
    pid_t killer = fork();
    if (killer == 0)
        _exit(kill(holder, SIGKILL) != 0);
    int fd = -1;
    int r;
    while ((r = sl_store_lock_layer(f->store, &layer, &wait, &fd, NULL)) == -EAGAIN)
        await_watch(watch);
    assert_int_equal(r, 0);
    close(fd);
    close(told[0]);
    close(told[1]);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static void gc_spares_held_layers_only(void **state)
{
    struct store_fixture *f = *state;
    struct sl_digest held = layer_id(1);
    struct sl_digest missing = layer_id(9);
    int fd = -1;
    int again = -1;
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    PUT_LAYER(f->store, 2, {'f', "file", 0});
    assert_int_equal(sl_store_hold_layer(f->store, &missing, &fd, NULL), 0);
    assert_int_equal(sl_store_hold_layer(f->store, &held, &fd, NULL), 1);
    assert_int_equal(sl_store_hold_layer(f->store, &held, &again, NULL), 1);
    close(again);
    struct sl_gc_result dry = gc(f->store, true);
    assert_int_equal(dry.layers, 1);
    assert_int_equal(dry.blobs, 1);
    assert_int_equal(count_names(f->store, "layers/sha256"), 2);
    struct sl_gc_result wet = gc(f->store, false);
    assert_memory_equal(&wet, &dry, sizeof(wet));
    assert_true(wet.bytes >= 4096);
    assert_int_equal(sl_store_has_layer(f->store, &held, NULL), 1);
    close(fd);
    assert_int_equal(gc(f->store, false).layers, 1);
    assert_int_equal(count_names(f->store, "layers/sha256"), 0);
    assert_int_equal(count_names(f->store, "blobs/sha256"), 0);
}

static void gc_keeps_what_named_images_need(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned i = 1; i <= 3; i++)
        PUT_LAYER(f->store, i, {'f', "file", 0});
    SL_AUTO(sl_image_record) named = NEW_IMAGE(1, "named", 1, 2, 1);
    SL_AUTO(sl_image_record) nameless = NEW_IMAGE(2, NULL, 2, 3);
    assert_ok(sl_image_commit(f->store, test_pass, named, ok_err));
    assert_ok(sl_image_commit(f->store, test_pass, nameless, ok_err));
    struct sl_gc_result result = gc(f->store, false);
    assert_int_equal(result.images, 1);
    assert_int_equal(result.layers, 1);
    struct sl_digest gone = layer_id(3);
    assert_int_equal(sl_store_has_layer(f->store, &gone, NULL), 0);
    assert_int_equal(count_names(f->store, "layers/sha256"), 2);
}

/* ---- images ---- */

static void image_survives_the_round_trip(void **state)
{
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    PUT_LAYER(f->store, 2, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1, 2, 1);
    image->encrypted = true;
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    SL_AUTO(sl_image_record) found = NULL;
    assert_ok(sl_store_find_image(f->store, "a", &found, ok_err));
    assert_string_equal(found->name, "a");
    assert_true(sl_digest_is_equal(&found->manifest, &image->manifest));
    assert_true(sl_digest_is_equal(&found->config, &image->config));
    assert_int_equal(found->n_layers, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(sl_digest_is_equal(&found->diff_ids[i], &image->diff_ids[i]));
    assert_true(found->encrypted);
    assert_int_equal(found->size, 12345);
    assert_int_equal(found->pulled, 1700000000);
    assert_string_equal((const char *)found->config_json.data, "{\"os\": \"linux\"}");
    assert_int_equal(found->verdict_json.len, 0);
}

/* A file that is written anew is another one: records are renamed into place. */
static ino_t inode(const struct store_fixture *f, const char *path)
{
    struct stat st;
    assert_int_equal(fstatat(f->store->fd, path, &st, 0), 0);
    return st.st_ino;
}

static void commit(const struct store_fixture *f, const struct sl_image_record *image)
{
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
}

static void image_that_is_there_already_is_not_written_again(void **state)
{
    struct store_fixture *f = *state;
    char path[SL_STORE_PATH_MAX];
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
    sl_store_path(path, "images", &image->manifest, ".json");
    commit(f, image);
    ino_t record = inode(f, path), ref = inode(f, "refs/a");
    image->pulled++;
    commit(f, image);
    assert_true(inode(f, path) == record && inode(f, "refs/a") == ref);
    SL_AUTO(sl_image_record) found = NULL;
    assert_int_equal(sl_store_load_image(f->store, &image->manifest, &found, NULL), 1);
    assert_int_equal(found->pulled, image->pulled - 1);
    assert_null(found->name);
}

/* Whatever differs is written, and so is what was lost or damaged. */
static void image_that_differs_is_written_again(void **state)
{
    struct store_fixture *f = *state;
    char path[SL_STORE_PATH_MAX];
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
    SL_AUTO(sl_image_record) other = NEW_IMAGE(2, "a", 1);
    sl_store_path(path, "images", &image->manifest, ".json");
    commit(f, image);
    ino_t record = inode(f, path);
    assert_ok(sl_bytes_append(&image->verdict_json, sl_span_of("{}"), 100, ok_err));
    commit(f, image);
    assert_true(inode(f, path) != record);
    commit(f, other); /* takes the name */
    SL_AUTO(sl_image_record) found = NULL;
    commit(f, image);
    assert_ok(sl_store_find_image(f->store, "a", &found, ok_err));
    assert_true(sl_digest_is_equal(&found->manifest, &image->manifest));
    assert_int_equal(unlinkat(f->store->fd, "refs/a", 0), 0);
    commit(f, image);
    (void)inode(f, "refs/a");
    SL_AUTO_FD fd = openat(f->store->fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "{", 1), 1);
    commit(f, image);
    found = sl_image_record_free(found);
    assert_int_equal(sl_store_load_image(f->store, &image->manifest, &found, NULL), 1);
    assert_int_equal(sl_store_load_image(f->store, &image->config, &found, NULL), 0);
}

/* Whose layers have gone is refused, though its record is there. */
static void image_that_is_recorded_and_has_lost_a_layer_is_refused(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    char from[SL_STORE_PATH_MAX];
    struct sl_digest layer = layer_id(1);
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
    commit(f, image);
    sl_store_path(from, "layers", &layer, "");
    assert_int_equal(renameat(f->store->fd, from, f->store->fd, "staging/lost"), 0);
    assert_int_equal(sl_image_commit(f->store, test_pass, image, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
}

/* Records of the first version have no manifest. */
static void image_keeps_its_manifest_where_it_is_given(void **state)
{
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
    SL_AUTO(sl_image_record) found = NULL;
    commit(f, image);
    assert_int_equal(sl_store_load_image(f->store, &image->manifest, &found, NULL), 1);
    assert_int_equal(found->manifest_json.len, 0);
    found = sl_image_record_free(found);
    assert_ok(sl_bytes_append(&image->manifest_json, sl_span_of("{\"m\" : 1}"), 100, ok_err));
    commit(f, image);
    assert_int_equal(sl_store_load_image(f->store, &image->manifest, &found, NULL), 1);
    assert_true(sl_span_is_equal(sl_bytes_span(&found->manifest_json), sl_span_of("{\"m\" : 1}")));
}

static void image_keeps_why_it_was_allowed(void **state)
{
    static const char verdict[] = "{\"scope\":null,\"evidence\":[{\"key\":\"ABCD\"}]}";
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
    assert_ok(
        sl_bytes_append(&image->verdict_json, sl_span_of(verdict), SL_VERDICT_RECORD_MAX, ok_err));
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    SL_AUTO(sl_image_record) found = NULL;
    assert_ok(sl_store_find_image(f->store, "a", &found, ok_err));
    assert_int_equal(found->verdict_json.len, strlen(verdict) + 1);
    assert_memory_equal(found->verdict_json.data, verdict, strlen(verdict));
}

static void image_with_a_verdict_that_is_no_object_is_refused(void **state)
{
    static const char *const bad[] = {"[]", "{", "1", "{\"a\":1,\"a\":2}", "{} {}"};
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a", 1);
        assert_ok(sl_bytes_append(&image->verdict_json, sl_span_of(bad[i]), SL_VERDICT_RECORD_MAX,
                                  ok_err));
        assert_true(sl_image_commit(f->store, test_pass, image, &err) < 0);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
    assert_int_equal(count_names(f->store, "images/sha256"), 0);
    assert_int_equal(count_names(f->store, "staging"), 0);
}

static void image_names_may_be_odd(void **state)
{
    struct store_fixture *f = *state;
    char long_name[1001];
    memset(long_name, 'x', 1000);
    long_name[1000] = '\0';
    const char *const names[] = {".",
                                 "..",
                                 "../../etc/passwd",
                                 "%2E",
                                 "a/b:c@d",
                                 "a b\n\t,",
                                 "\xc3\xa9",
                                 ".hidden",
                                 "%long-00",
                                 "A",
                                 "a",
                                 long_name,
                                 "host:5000/path/with-many_parts.x:tag"};
    const size_t n = sizeof(names) / sizeof(names[0]);
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    for (size_t i = 0; i < n; i++) {
        SL_AUTO(sl_image_record) image = NEW_IMAGE((unsigned)i, names[i], 1);
        assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    }
    assert_int_equal(count_names(f->store, "refs"), n);
    for (size_t i = 0; i < n; i++) {
        SL_AUTO(sl_image_record) found = NULL;
        struct sl_digest expected = image_id((unsigned)i);
        assert_ok(sl_store_find_image(f->store, names[i], &found, ok_err));
        assert_string_equal(found->name, names[i]);
        assert_true(sl_digest_is_equal(&found->manifest, &expected));
    }
    struct sl_image_record **list = NULL;
    assert_ok(sl_store_list_images(f->store, &list, ok_err));
    size_t listed = 0;
    for (; list[listed]; listed++)
        if (listed)
            assert_true(strcmp(list[listed - 1]->name, list[listed]->name) < 0);
    assert_int_equal(listed, n);
    free_list(list);
    struct sl_error err = {.code = SL_OK};
    const char *const bad[] = {"", "\xff\xfe"};
    for (size_t i = 0; i < 2; i++) {
        SL_AUTO(sl_image_record) image = NEW_IMAGE(1, bad[i], 1);
        assert_int_equal(sl_image_commit(f->store, test_pass, image, &err), -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
    assert_int_equal(count_names(f->store, "staging"), 0);
}

static void image_is_found_by_digest_and_its_beginning(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    char text[SL_DIGEST_TEXT_MAX];
    SL_AUTO(sl_image_record) one = NEW_IMAGE(1, "a");
    SL_AUTO(sl_image_record) two = NEW_IMAGE(2, NULL);
    one->manifest = digest_of(0xc1, 1);
    two->manifest = digest_of(0xc2, 2);
    assert_ok(sl_image_commit(f->store, test_pass, one, ok_err));
    assert_ok(sl_image_commit(f->store, test_pass, two, ok_err));
    SL_AUTO(sl_image_record) found = NULL;
    assert_ok(sl_store_find_image(f->store, "c10000", &found, ok_err));
    assert_string_equal(found->name, "a");
    found = sl_image_record_free(found);
    sl_digest_format(&two->manifest, text);
    assert_ok(sl_store_find_image(f->store, text, &found, ok_err));
    assert_null(found->name);
    found = sl_image_record_free(found);
    assert_int_equal(sl_store_find_image(f->store, "c1000", &found, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    SL_AUTO(sl_image_record) three = NEW_IMAGE(3, NULL);
    three->manifest = digest_of(0xc1, 3);
    assert_ok(sl_image_commit(f->store, test_pass, three, ok_err));
    assert_int_equal(sl_store_find_image(f->store, "c10000", &found, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
}

static void image_is_removed_by_name_or_wholly(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    char text[SL_DIGEST_TEXT_MAX];
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "a");
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    image->name[0] = 'b';
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    assert_ok(sl_store_remove_image(f->store, "a", false, ok_err));
    assert_int_equal(sl_store_remove_image(f->store, "a", false, &err), -ENOENT);
    assert_int_equal(count_names(f->store, "refs"), 1);
    sl_digest_format(&image->manifest, text);
    assert_ok(sl_store_remove_image(f->store, text, false, ok_err));
    assert_int_equal(count_names(f->store, "refs"), 0);
    assert_int_equal(count_names(f->store, "images/sha256"), 0);
    assert_int_equal(sl_store_remove_image(f->store, text, false, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
}

/* ---- damage ---- */

static void damaged_records_are_told_in_one_line(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    char path[SL_STORE_PATH_MAX];
    struct sl_digest blob = blob_id(1);
    struct sl_blob_record record;
    struct sl_gc_result result;
    struct sl_image_record **list = NULL;
    SL_AUTO(sl_image_record) found = NULL;
    pull_all(f->store);
    sl_store_path(path, "blobs", &blob, ".json");
    put_file(f->store->fd, path, "{\"blob\":");
    assert_int_equal(sl_store_find_blob(f->store, &blob, &record, &err), 0);
    assert_int_equal(err.code, SL_OK);

    struct sl_digest manifest = image_id(1);
    sl_store_path(path, "images", &manifest, ".json");
    put_file(f->store->fd, path, "{\"manifest\":5}");
    assert_true(sl_store_find_image(f->store, "registry/name:tag", &found, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_non_null(strstr(err.msg, path));
    assert_null(strchr(err.msg, '\n'));
    assert_true(sl_store_list_images(f->store, &list, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_true(sl_store_gc(f->store, false, &result, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_int_equal(count_names(f->store, "layers/sha256"), 1);

    pull_all(f->store); /* a new pull repairs */
    assert_int_equal(sl_store_find_blob(f->store, &blob, &record, &err), 1);
    put_file(f->store->fd, "refs/registry%2Fname:tag", "nonsense");
    assert_true(sl_store_find_image(f->store, "registry/name:tag", &found, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    pull_all(f->store);
    assert_ok(sl_store_find_image(f->store, "registry/name:tag", &found, ok_err));
}

static atomic_uint n_early;

static void count_early(const char *step)
{
    if (strcmp(step, "synced-early") == 0)
        atomic_fetch_add(&n_early, 1);
}

/* Closing the store waits for what was begun. */
static unsigned early_syncs(struct store_fixture *f, bool is_volatile, uint64_t bytes)
{
    f->store->is_volatile = is_volatile;
    f->store->step_hook = count_early;
    atomic_store(&n_early, 0);
    struct sl_staged_layer *staged = NULL;
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    for (int i = 0; i < 16; i++)
        sl_staged_layer_note_written(staged, bytes / 16);
    sl_staged_layer_free(staged);
    fixture_reopen(f);
    return atomic_load(&n_early);
}

static void large_layers_are_on_their_way_to_the_disk_early(void **state)
{
    struct store_fixture *f = *state;
    const uint64_t mib = 1024 * 1024;
    assert_int_equal(early_syncs(f, /* is_volatile= */ false, 63 * mib), 0);
    assert_int_equal(early_syncs(f, /* is_volatile= */ false, 64 * mib), 1);
    assert_int_equal(early_syncs(f, /* is_volatile= */ true, 64 * mib), 0);
}

static void full_file_system_leaves_nothing(void **state)
{
    (void)state;
    if (!own_mounts_enter())
        skip();
    char dir[] = "/tmp/sl-full-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(mount("none", dir, "tmpfs", 0, "size=256k,nr_inodes=64"), 0);
    struct store_fixture *f = fixture_new(dir, "store");
    assert_true(f->store->is_volatile);
    SL_AUTO(sl_staged_layer) staged = NULL;
    struct sl_error err = {.code = SL_OK};
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    SL_AUTO_FD fd = openat(sl_staged_layer_fd(staged), "big", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    static const char block[4096];
    while (write(fd, block, sizeof(block)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(commit_as(staged, 1, 1, &err), -ENOSPC);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_int_equal(err.errnum, ENOSPC);
    staged = sl_staged_layer_free(staged);
    assert_int_equal(count_names(f->store, "staging"), 0);
    assert_int_equal(count_names(f->store, "layers/sha256"), 0);
    assert_int_equal(count_names(f->store, "blobs/sha256"), 0);
    sl_cleanup_fdp(&fd);
    PUT_LAYER(f->store, 1, {'f', "file", 0});
    fixture_free(f);
    assert_int_equal(umount(dir), 0);
    assert_int_equal(rmdir(dir), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store_layer_committed_is_found_after_reopen),
        TEST(commit_without_pass_is_refused),
        TEST(layer_not_committed_leaves_nothing),
        TEST(layer_of_second_blob_is_recorded_only),
        TEST(layers_committed_together_are_synced_once),
        TEST(layer_that_cannot_be_committed_does_not_keep_others_out),
        TEST(image_without_its_layers_is_refused),
        TEST(pull_killed_at_each_step_leaves_old_or_new_state),
        TEST(staging_of_the_living_survives_an_open),
        TEST(commits_of_two_processes_and_gc_do_not_disturb_each_other),
        TEST(layer_lock_is_exclusive_until_closed),
        TEST(layer_lock_waited_for_says_when_it_is_free),
        TEST(layer_lock_without_watches_is_no_full_disk),
        TEST(layer_lock_of_the_dead_is_taken_over),
        TEST(gc_spares_held_layers_only),
        TEST(gc_keeps_what_named_images_need),
        TEST(image_survives_the_round_trip),
        TEST(image_that_is_there_already_is_not_written_again),
        TEST(image_that_differs_is_written_again),
        TEST(image_that_is_recorded_and_has_lost_a_layer_is_refused),
        TEST(image_keeps_its_manifest_where_it_is_given),
        TEST(image_keeps_why_it_was_allowed),
        TEST(image_with_a_verdict_that_is_no_object_is_refused),
        TEST(image_names_may_be_odd),
        TEST(image_is_found_by_digest_and_its_beginning),
        TEST(image_is_removed_by_name_or_wholly),
        TEST(damaged_records_are_told_in_one_line),
        TEST(large_layers_are_on_their_way_to_the_disk_early),
        cmocka_unit_test(full_file_system_leaves_nothing),
    };
    return cmocka_run_group_tests_name("layer_store", tests, NULL, NULL);
}
