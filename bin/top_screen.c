/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * top_screen.c - draws with ncurses, and reads keys and signals.
 */
#include "bin/top_screen.h"

/* Its functions alone: some macros have names that others have, too. */
#define NCURSES_NOMACROS
#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

#include "shm/error.h"

/* Lines above and below the engines: pool, arena, title; words. */
#define HEAD 3
#define FOOT 1
/* Clients have at most a part of the window. */
#define CLIENTS_PART 4

static struct {
	SCREEN *screen;
	sigset_t usual; /* signals that are blocked but while it waits for a key */
} terminal;

static volatile sig_atomic_t ended_by;

/* --- the terminal --- */

static void note_signal(int number)
{
	ended_by = number;
}

/* They come only while it waits for a key, so that none is overlooked. */
static void take_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	const struct sigaction note = { .sa_handler = note_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGWINCH);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&blocked, numbers[i]);
		(void)sigaction(numbers[i], &note, NULL);
	}
	(void)sigprocmask(SIG_BLOCK, &blocked, &terminal.usual);
}

static int check_terminal(void)
{
	const char *name = getenv("TERM"), *move;
	int error;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return px_fail(
			PX_EINVAL,
			"standard %s is not a terminal: 'pxrun top --once' prints one screen",
			isatty(STDOUT_FILENO) ? "input" : "output");
	if (!name || !*name)
		return px_fail(
			PX_EINVAL,
			"TERM is not set, so it is not known how to draw on this terminal: set "
			"it, or use 'pxrun top --once'");
	if (setupterm(name, STDOUT_FILENO, &error) != OK)
		return px_fail(
			PX_EINVAL,
			"the terminal '%.40s' of TERM is not known here: set another, such as "
			"xterm, or use 'pxrun top --once'",
			name);
	move = tigetstr("cup");
	if (!move || move == (const char *)-1)
		return px_fail(
			PX_EINVAL,
			"a terminal of the kind '%.40s' (TERM) cannot show a screen: use 'pxrun "
			"top --once'",
			name);
	return 0;
}

int px_top_screen_open(void)
{
	int rc = check_terminal();

	if (rc < 0)
		return rc;
	take_signals();
	terminal.screen = newterm(NULL, stdout, stdin);
	if (!terminal.screen) {
		(void)sigprocmask(SIG_SETMASK, &terminal.usual, NULL);
		return px_fail(PX_EINVAL,
			       "ncurses cannot use this terminal: use 'pxrun top --once'");
	}
	cbreak();
	noecho();
	nodelay(stdscr, true);
	keypad(stdscr, true);
	/* What comes after Esc of a key is there at once. */
	set_escdelay(25);
	curs_set(0);
	return 0;
}

int px_top_screen_close(void)
{
	endwin();
	delscreen(terminal.screen);
	if (ended_by)
		(void)signal(ended_by, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &terminal.usual, NULL);
	return ended_by;
}

/* --- keys --- */

static int translate(int key)
{
	switch (key) {
	case KEY_UP:
		return PX_TOP_UP;
	case KEY_DOWN:
		return PX_TOP_DOWN;
	case KEY_PPAGE:
		return PX_TOP_PAGE_UP;
	case KEY_NPAGE:
		return PX_TOP_PAGE_DOWN;
	case KEY_HOME:
		return PX_TOP_HOME;
	case KEY_END:
		return PX_TOP_END;
	default:
		return key > 0 && key < 256 ? key : PX_TOP_NONE;
	}
}

int px_top_screen_key(uint64_t timeout_ns)
{
	const struct timespec limit = { (time_t)(timeout_ns / 1000000000),
					(long)(timeout_ns % 1000000000) };
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	int key = getch(), count;

	if (key != ERR)
		return translate(key); /* it was read with the one before */
	count = ppoll(&input, 1, &limit, &terminal.usual);
	if (ended_by || (count > 0 && !(input.revents & POLLIN)))
		return PX_TOP_QUIT;
	key = getch();
	/* A terminal that has input and then none was hung up. */
	if (key == ERR)
		return count > 0 ? PX_TOP_QUIT : PX_TOP_NONE;
	return translate(key);
}

/* --- drawing --- */

static void put(int row, struct px_top_line line, attr_t attributes)
{
	if (row >= LINES)
		return;
	attrset((int)attributes);
	mvaddnstr(row, 0, line.at, COLS);
	if (attributes & A_REVERSE)
		for (int column = (int)strlen(line.at); column < COLS; column++)
			addch(' ');
	attrset(A_NORMAL);
}

static struct px_top_line words_of(const char *words)
{
	struct px_top_line line;

	snprintf(line.at, sizeof(line.at), "%s", words);
	return line;
}

static void draw_help(void)
{
	static const char *const texts[] = {
		"up, down, page up, page down, home, end   select an engine",
		"N P M T A   sort by id, CPU, memory, time, arrays",
		"i           interrupt what the engine runs",
		"r           restart the engine: its names are lost",
		"k           kill the engine's process",
		"h ?         this help, and back",
		"q           quit",
		"",
		"i, r and k ask before they do it.",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put((int)i, words_of(texts[i]), A_NORMAL);
}

/* Lines for clients, their title among them. */
static int client_lines(uint32_t count)
{
	int most = LINES / CLIENTS_PART, wanted = count ? (int)count + 1 : 0;

	return most < 2 ? 0 : wanted < most ? wanted : most;
}

static int page(const struct px_top_sample *sample)
{
	int rows = LINES - HEAD - FOOT - client_lines(sample->clients_count);

	return rows > 1 ? rows : 1;
}

static uint32_t last_page = 1;

uint32_t px_top_screen_page(void)
{
	return last_page;
}

static void draw_engines(const struct px_top_sample *sample, struct px_top_view *view)
{
	uint32_t rows = last_page = (uint32_t)page(sample), at = 0;

	while (at < sample->engines_count && sample->engines[at].id != view->selected)
		at++;
	if (at < view->first)
		view->first = at;
	if (at < sample->engines_count && at >= view->first + rows)
		view->first = at - rows + 1;
	if (view->first + rows > sample->engines_count)
		view->first = sample->engines_count > rows ? sample->engines_count - rows : 0;
	for (uint32_t i = 0; i < rows && view->first + i < sample->engines_count; i++) {
		const struct px_top_engine *engine = &sample->engines[view->first + i];
		attr_t attributes = engine->work.busy ? A_BOLD : A_NORMAL;

		if (engine->id == view->selected)
			attributes = A_REVERSE;
		put(HEAD + (int)i, px_top_engine_line(engine), attributes);
	}
}

static void draw_clients(const struct px_top_sample *sample)
{
	int taken = client_lines(sample->clients_count), row = LINES - FOOT - taken;

	if (!taken)
		return;
	put(row, px_top_client_title(), A_REVERSE);
	for (int i = 0; i < taken - 1; i++)
		put(row + 1 + i, px_top_client_line(&sample->clients[i]), A_NORMAL);
}

void px_top_screen_draw(const struct px_top_sample *sample, struct px_top_view *view)
{
	erase();
	if (view->help) {
		draw_help();
	} else {
		put(0, px_top_pool_line(sample), A_NORMAL);
		put(1, px_top_arena_line(sample), A_NORMAL);
		put(2, px_top_engine_title(), A_REVERSE);
		draw_engines(sample, view);
		draw_clients(sample);
	}
	move(LINES - 1, 0);
	clrtoeol();
	put(LINES - 1,
	    words_of(*view->words ?
			     view->words :
			     "h help  q quit  i interrupt  r restart  k kill  N P M T A sort"),
	    *view->words ? A_BOLD : A_NORMAL);
	refresh();
}
