/* SPDX-License-Identifier: Apache-2.0 */
#include "commit_gate.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char dir[64];
    struct sl_store *store;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    struct sl_error err = {0};
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/sl-gate-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    if (sl_store_open(p->dir, &p->store, &err) < 0)
        fail_msg("%s", err.msg);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char *command[] = {"rm", "-rf", p->dir, NULL};
    (void)sl_store_close(p->store);
    pid_t pid;
    int status = 1;
    if (posix_spawnp(&pid, "rm", NULL, NULL, command, environ) == 0)
        (void)waitpid(pid, &status, 0);
    free(p);
    return status;
}

static const struct sl_digest manifest = {.alg = SL_SHA256, .bytes = {1}};
static const struct sl_digest other = {.alg = SL_SHA256, .bytes = {2}};

static struct sl_gate *open_gate(struct place *p)
{
    struct sl_error err = {0};
    struct sl_gate *gate = NULL;
    SL_AUTO(sl_approval) approval = NULL;
    const struct sl_judged_image image = {.name = "docker.io/library/x:1",
                                          .manifest_digest = manifest};
    if (sl_approve_insecurely(&image, &approval, &err) < 0 ||
        sl_gate_open(p->store, &approval, &gate, &err) < 0)
        fail_msg("%s", err.msg);
    assert_null(approval);
    return gate;
}

static int commit_layer(struct sl_gate *gate, int flow_result, struct sl_staged_layer *staged,
                        struct sl_error *err)
{
    struct sl_layer_commit commit = {
        .staged = staged, .record = {.blob = other, .diff_id = other}, .result = flow_result};
    sl_gate_commit_layers(gate, &commit);
    *err = commit.error;
    return commit.result;
}

static void gate_without_approval_stays_shut(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    struct sl_gate *gate = NULL;
    struct sl_approval *none = NULL;
    assert_int_equal(sl_gate_open(p->store, &none, &gate, &err), -EPERM);
    assert_int_equal(err.code, SL_E_POLICY);
    assert_null(gate);
    assert_ptr_equal(strstr(err.msg, "Image policy rejected: Denied by policy"), err.msg);
}

static void gate_that_is_not_open_lets_nothing_through(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_int_equal(sl_staged_layer_new(p->store, &staged, &err), 0);
    assert_int_equal(commit_layer(NULL, 0, staged, &err), -EPERM);
    assert_int_equal(err.code, SL_E_POLICY);
    const struct sl_image_record record = {.name = "docker.io/library/x:1", .manifest = manifest};
    assert_int_equal(sl_gate_commit_image(NULL, &record, &err), -EPERM);
}

static void approval_is_used_once(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_gate) gate = open_gate(p);
    const struct sl_image_record record = {
        .name = "docker.io/library/x:1", .manifest = manifest, .config = other};
    assert_int_equal(sl_gate_commit_image(gate, &record, &err), 0);
    assert_int_equal(sl_gate_commit_image(gate, &record, &err), -EPERM);
    assert_int_equal(err.code, SL_E_POLICY);
}

static void image_of_another_name_is_not_committed(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_gate) gate = open_gate(p);
    const struct sl_image_record record = {.name = "docker.io/library/x:2", .manifest = manifest};
    assert_int_equal(sl_gate_commit_image(gate, &record, &err), -EPERM);
    assert_int_equal(err.code, SL_E_POLICY);
}

static void layer_whose_flow_failed_is_not_committed(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_gate) gate = open_gate(p);
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_int_equal(sl_staged_layer_new(p->store, &staged, &err), 0);
    assert_int_equal(commit_layer(gate, -EBADMSG, staged, &err), -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_int_equal(sl_store_has_layer(p->store, &other, &err), 0);
}

static void layer_whose_flow_passed_is_committed(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_gate) gate = open_gate(p);
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_int_equal(sl_staged_layer_new(p->store, &staged, &err), 0);
    assert_int_equal(commit_layer(gate, 0, staged, &err), 0);
    assert_int_equal(sl_store_has_layer(p->store, &other, &err), 1);
}

static void image_of_another_manifest_is_not_committed(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_gate) gate = open_gate(p);
    struct sl_image_record record = {.name = "docker.io/library/x:1", .manifest = other};
    assert_int_equal(sl_gate_commit_image(gate, &record, &err), -EPERM);
    assert_int_equal(err.code, SL_E_POLICY);
}

static void image_with_a_missing_layer_is_not_committed(void **state)
{
    struct place *p = *state;
    struct sl_error err = {0};
    SL_AUTO(sl_gate) gate = open_gate(p);
    struct sl_digest diff_ids[] = {other};
    struct sl_image_record record = {
        .name = "docker.io/library/x:1", .manifest = manifest, .diff_ids = diff_ids, .n_layers = 1};
    assert_int_equal(sl_gate_commit_image(gate, &record, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    struct sl_image_record *found = NULL;
    assert_int_equal(sl_store_find_image(p->store, record.name, &found, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gate_without_approval_stays_shut, setup, teardown),
        cmocka_unit_test_setup_teardown(gate_that_is_not_open_lets_nothing_through, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(approval_is_used_once, setup, teardown),
        cmocka_unit_test_setup_teardown(image_of_another_name_is_not_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(layer_whose_flow_failed_is_not_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(layer_whose_flow_passed_is_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(image_of_another_manifest_is_not_committed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(image_with_a_missing_layer_is_not_committed, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
