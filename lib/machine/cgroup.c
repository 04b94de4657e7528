/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cgroup.c - finds and reads control groups of both versions.
 */
#include "machine/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a comma-separated list has the word. */
static bool lists(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == length && !strncmp(at, word, length))
			return true;
	return false;
}

/* --- the group's path: lines of "number:controllers:path" in /proc/self/cgroup --- */

static bool path_in_line(char *line, const char *controller, bool unified, char *out, size_t bytes)
{
	char *names = strchr(line, ':');
	char *path = names ? strchr(names + 1, ':') : NULL;

	if (!path)
		return false;
	*names++ = '\0';
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (unified ? *names || strcmp(line, "0") != 0 : !lists(names, controller))
		return false;
	return (size_t)snprintf(out, bytes, "%s", path) < bytes;
}

static bool find_path(const char *root, const char *controller, bool unified, char *out,
		      size_t bytes)
{
	char name[1024], line[1024];
	bool found = false;
	FILE *file;

	snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	file = fopen(name, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = path_in_line(line, controller, unified, out, bytes);
	fclose(file);
	return found;
}

/* --- the mount: "id parent major:minor root point options … - type source options" --- */

struct mount {
	char top[512], point[512]; /* what of the hierarchy is mounted, and where */
};

static bool mount_in_line(char *line, const char *controller, bool unified, struct mount *out)
{
	char type[32], options[512];
	char *tail = strstr(line, " - ");

	if (!tail || sscanf(tail, " - %31s %*s %511s", type, options) != 2)
		return false;
	if (unified ? strcmp(type, "cgroup2") != 0 :
		      strcmp(type, "cgroup") != 0 || !lists(options, controller))
		return false;
	return sscanf(line, "%*s %*s %*s %511s %511s", out->top, out->point) == 2;
}

static bool find_mount(const char *root, const char *controller, bool unified, struct mount *out)
{
	char name[1024], line[4096];
	bool found = false;
	FILE *file;

	snprintf(name, sizeof(name), "%s/proc/self/mountinfo", root);
	file = fopen(name, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = mount_in_line(line, controller, unified, out);
	}
	fclose(file);
	return found;
}

/* The path below the mount; "" if the mount does not show it. */
static const char *below(const struct mount *mount, const char *path)
{
	size_t length = strlen(mount->top);

	if (!strcmp(mount->top, "/"))
		return strcmp(path, "/") != 0 ? path : "";
	if (strncmp(path, mount->top, length) != 0 || (path[length] && path[length] != '/'))
		return "";
	return path + length;
}

static bool find(const char *root, const char *controller, bool unified, struct px_cgroup *out)
{
	char path[512];
	struct mount mount;
	int length;

	if (!find_path(root, controller, unified, path, sizeof(path)) ||
	    !find_mount(root, controller, unified, &mount))
		return false;
	*out = (struct px_cgroup){ .top_length = strlen(root) + strlen(mount.point),
				   .unified = unified };
	length = snprintf(out->folder, sizeof(out->folder), "%s%s%s", root, mount.point,
			  below(&mount, path));
	return length > 0 && (size_t)length < sizeof(out->folder);
}

bool px_cgroup_find(const char *root, const char *controller, struct px_cgroup *out)
{
	/* A controller is bound to one hierarchy; if it has one of version 1, to that. */
	return find(root, controller, false, out) || find(root, controller, true, out);
}

bool px_cgroup_up(struct px_cgroup *group)
{
	char *slash = strrchr(group->folder, '/');

	if (!slash || (size_t)(slash - group->folder) < group->top_length)
		return false;
	*slash = '\0';
	return true;
}

/* --- numbers --- */

static bool read_number(const char *text, uint64_t *out)
{
	char *end;

	text += strspn(text, " \t");
	if (!strncmp(text, "max", 3)) {
		*out = UINT64_MAX;
		return true;
	}
	*out = strtoull(text, &end, 10);
	/* Version 1 writes -1 for no limit. */
	if (*text == '-')
		*out = UINT64_MAX;
	return end > text;
}

static bool number_in(const char *path, const char *key, uint64_t *out)
{
	size_t length = key ? strlen(key) : 0;
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[256];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		if (!key || (!strncmp(line, key, length) && strchr(" \t", line[length])))
			found = read_number(line + length, out);
	fclose(file);
	return found;
}

bool px_cgroup_number(const struct px_cgroup *group, const char *file, const char *key,
		      uint64_t *out)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/%s", group->folder, file);
	return number_in(path, key, out);
}

bool px_proc_number(const char *root, const char *path, const char *key, uint64_t *out)
{
	char name[1200];

	snprintf(name, sizeof(name), "%s%s", root, path);
	return number_in(name, key, out);
}
