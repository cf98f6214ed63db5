/* SPDX-License-Identifier: Apache-2.0 */
/* What images are unpacked and mounted with. */
#pragma once

/* Says in the log which capabilities are missing (capabilities(7)): without them the service
 * starts, and every pull fails late. */
void sl_warn_of_privileges(void);
