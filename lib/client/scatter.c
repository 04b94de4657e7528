/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scatter.c - cuts an array into a part for each engine.
 */
#include "client/array.h"
#include "client/how.h"
#include "client/parts.h"
#include "client/values.h"
#include "client/view.h"
#include "shm/error.h"

int px_distribution_check(enum px_distribution distribution)
{
	if (distribution != PX_BLOCK && distribution != PX_CYCLIC)
		return px_fail(PX_EINVAL, "distribution %d: it is PX_BLOCK or PX_CYCLIC",
			       (int)distribution);
	return 0;
}

int px_axis(int axis, int ndim, int *out)
{
	if (axis < -ndim || axis >= ndim)
		return px_fail(PX_EINVAL, "axis %d, counted from 0, of an array of %d dimensions",
			       axis, ndim);
	*out = axis < 0 ? axis + ndim : axis;
	return 0;
}

struct scatter {
	const char *name;
	struct px_array *array;
	int axis;
	enum px_distribution distribution;
	uint32_t parts;
	struct px_encoder encoder; /* of the part that is sent */
};

static int encode(struct scatter *s, struct px_array *part)
{
	struct px_value name = px_string(s->name), value = px_of_array(part);
	int rc = px_encode(&s->encoder, &name);

	return rc < 0 ? rc : px_encode(&s->encoder, &value);
}

static void encode_anew(struct scatter *s)
{
	struct px_endpoint *endpoint = s->encoder.endpoint;

	px_encoder_free(&s->encoder);
	s->encoder = (struct px_encoder)PX_ENCODER(endpoint);
}

static int make_part(void *ctx, struct px_result *result, uint32_t index, struct px_outgoing *out)
{
	struct scatter *s = ctx;
	struct px_part_range range =
		px_part_range(s->distribution, s->array->shape[s->axis], s->parts, index);
	struct px_array *part;
	int rc;

	(void)result;
	encode_anew(s);
	rc = px_array_slice(s->array, s->axis, range.start, range.step, range.count, &part);
	if (rc < 0)
		return rc;
	rc = encode(s, part);
	px_array_unref(part);
	px_encoder_message(&s->encoder, PX_REQUEST_PUSH, out);
	return rc;
}

/* The client was entered. */
static int scatter(struct px_view *view, struct scatter *s, const struct px_how *how,
		   struct px_result **result)
{
	uint32_t ids[PX_ENGINES_MAX];
	struct px_how known;
	int rc = px_how_read(how, &known);

	if (rc == 0 && px_view_is_any(view))
		rc = px_fail(PX_EINVAL, "the parts of an array go to a view's engines in their "
					"order: use px_view_all() or px_view_of()");
	if (rc == 0)
		rc = px_view_targets(view, ids);
	if (rc < 0)
		return rc;
	s->parts = (uint32_t)rc;
	s->encoder = (struct px_encoder)PX_ENCODER(px_view_client(view)->endpoint);
	rc = px_client_submit_each(px_view_client(view), ids, s->parts, make_part, s, &known,
				   result);
	px_encoder_free(&s->encoder);
	return rc;
}

int px_view_scatter(struct px_view *view, const char *name, struct px_array *array, int axis,
		    enum px_distribution distribution, const struct px_how *how,
		    struct px_result **result)
{
	struct scatter s = { .name = name, .array = array, .distribution = distribution };
	int rc = px_view_begin(view);

	if (rc < 0)
		return rc;
	rc = px_need(name, "name");
	if (rc == 0)
		rc = px_array_check(array);
	if (rc == 0)
		rc = px_axis(axis, array->ndim, &s.axis);
	if (rc == 0)
		rc = px_distribution_check(distribution);
	if (rc == 0)
		rc = scatter(view, &s, how, result);
	px_client_leave(px_view_client(view));
	return rc;
}
