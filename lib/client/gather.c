/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gather.c - joins the arrays that engines have answered.
 */
#include "client/array.h"
#include "client/internal.h"
#include "client/parts.h"
#include "shm/error.h"

struct gather {
	struct px_result *result;
	struct px_array *into;
	int axis;
	enum px_distribution distribution;
};

/* Whether a part is of the kind that belongs there, but for its extent along the axis. */
static int check_part(const struct gather *g, size_t index, const struct px_array *part)
{
	if (part->dtype != g->into->dtype)
		return px_fail(PX_EINVAL, "entry %zu has dtype 0x%04x, the array has 0x%04x", index,
			       (unsigned)part->dtype, (unsigned)g->into->dtype);
	if (part->ndim != g->into->ndim)
		return px_fail(PX_EINVAL, "entry %zu has %d dimensions, the array has %d", index,
			       part->ndim, g->into->ndim);
	for (int i = 0; i < part->ndim; i++)
		if (i != g->axis && part->shape[i] != g->into->shape[i])
			return px_fail(PX_EINVAL,
				       "dimension %d of entry %zu is %lld, that of the array %lld",
				       i, index, (long long)part->shape[i],
				       (long long)g->into->shape[i]);
	return 0;
}

/* Where a part goes; blocks stand one behind the other, whatever their sizes. */
static int place_of(const struct gather *g, size_t index, int64_t have, int64_t *at,
		    struct px_part_range *out)
{
	int64_t items = g->into->shape[g->axis];

	*out = px_part_range(g->distribution, items, (int64_t)px_result_count(g->result),
			     (int64_t)index);
	if (g->distribution == PX_BLOCK)
		*out = (struct px_part_range){ *at, 1, have };
	if (out->count != have || have > items - *at)
		return px_fail(PX_EINVAL,
			       "entry %zu has %lld items along axis %d, which do not fit into the "
			       "array's %lld",
			       index, (long long)have, g->axis, (long long)items);
	if (g->distribution == PX_BLOCK)
		*at += have;
	return 0;
}

/* Looks at all parts, and with write copies them. */
static int go_through(const struct gather *g, bool write)
{
	int64_t at = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < px_result_count(g->result); i++) {
		struct px_part_range range;
		struct px_array *part, *place;

		rc = px_result_array(g->result, i, &part);
		if (rc < 0)
			return rc;
		rc = check_part(g, i, part);
		if (rc == 0)
			rc = place_of(g, i, part->shape[g->axis], &at, &range);
		if (rc == 0 && write)
			rc = px_array_slice(g->into, g->axis, range.start, range.step, range.count,
					    &place);
		if (rc == 0 && write) {
			px_array_copy_to(part, place->data, place->strides);
			px_array_unref(place);
		}
		px_array_unref(part);
	}
	if (rc == 0 && g->distribution == PX_BLOCK && at != g->into->shape[g->axis])
		rc = px_fail(PX_EINVAL, "the entries have %lld items along axis %d, the array %lld",
			     (long long)at, g->axis, (long long)g->into->shape[g->axis]);
	return rc;
}

int px_result_gather(struct px_result *result, int axis, enum px_distribution distribution,
		     struct px_array *into)
{
	struct gather g = { .result = result, .into = into, .distribution = distribution };
	int rc = px_handle_check(result, PX_HANDLE_RESULT, "result");

	if (rc == 0)
		rc = px_handle_check(into, PX_HANDLE_ARRAY, "into");
	if (rc == 0)
		rc = px_axis(axis, into->ndim, &g.axis);
	if (rc == 0)
		rc = px_distribution_check(distribution);
	/* First all are looked at: what does not fit leaves the array as it was. */
	if (rc == 0)
		rc = go_through(&g, false);
	return rc < 0 ? rc : go_through(&g, true);
}
