/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/attachments.h"
