/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native.c - pxrun-native, the program of engines without an interpreter.
 */
#include "engine/native_program.h"

int main(int argc, char **argv)
{
	return px_native_program(argc, argv);
}
