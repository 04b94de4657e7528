// SPDX-License-Identifier: BSD-3-Clause
//
// pools.cpp - a program of somebody else, in C++: each kind of thing in pxrun.hpp, once.

#include <cmath>
#include <iostream>
#include <numeric>

#include <pxrun.hpp>

namespace {

int failures;

void expect(bool holds, const char *what)
{
	if (!holds) {
		std::cerr << "pools.cpp: " << what << '\n';
		failures++;
	}
}

void values(const pxrun::view &view)
{
	using pxrun::value;
	const std::map<std::string, int> ages = { { "Ada", 36 }, { "Emmy", 53 } };
	const char *echo = "builtins:str";
	auto text = [&](const value &v) { return view.call(echo, v).all<std::string>().at(0); };

	expect(text(true) == "True", "a bool");
	expect(text(-7) == "-7", "an int");
	expect(text(UINT64_MAX) == "18446744073709551615", "a uint64_t");
	expect(text(0.5f) == "0.5", "a float");
	expect(text(std::complex<double>(1, 2)) == "(1+2j)", "a complex");
	expect(text(nullptr) == "None", "nothing");
	expect(text(std::vector<value>{ 1, "two", std::vector<std::string>{ "three" } }) == "[1, 'two', ['three']]", "a list");
	expect(text(ages) == "{'Ada': 36, 'Emmy': 53}", "a map");
	expect(text(std::vector<int>{ 1, 2, 3 }) == "[1 2 3]", "a vector of numbers, which is an array");
	expect(text(value::bytes("ab")) == "b'ab'", "bytes");

	auto sorted = view.apply("builtins:sorted", { std::vector<std::string>{ "a", "c", "b" } }, { { "reverse", true } });
	expect(sorted.all<std::vector<std::string>>().at(0) == std::vector<std::string>({ "c", "b", "a" }), "keywords, and a list");
	auto dict = view.call("builtins:dict", ages);
	expect((dict.all<std::map<std::string, int>>().at(0) == ages), "a dict");
	expect(view.call("builtins:complex", 1, 2).all<std::complex<double>>().at(0) == std::complex<double>(1, 2), "a complex back");
	expect(view.call("builtins:int", "18446744073709551615").all<std::uint64_t>().at(0) == UINT64_MAX, "a uint64_t back");
	try {
		view.call("builtins:int", 300).all<std::int8_t>();
		expect(false, "300 is no int8_t");
	} catch (const pxrun::error &e) {
		expect(e.code() == PX_EINVAL, "the code of what does not fit");
	}
}

void arrays(const pxrun::client &client, const pxrun::view &view)
{
	pxrun::array mine = pxrun::array::alloc<double>(client, { 2, 3 });
	pxrun::span<double> elements = mine.elements<double>();
	std::iota(elements.begin(), elements.end(), 0.0);
	pxrun::array copy = mine;

	pxrun::array twice;
	{
		auto result = view.call("numpy:add", mine, copy);
		result.wait();
		twice = result.get<pxrun::array>(0);
	}
	expect(twice.ndim() == 2 && twice.shape()[1] == 3 && twice.elements<double>()[5] == 10, "an array outlives its result");
	expect(mine.wait(std::chrono::seconds(20)), "nobody holds it any more");

	float square[2][2] = { { 1, 2 }, { 3, 4 } };
	auto turned = pxrun::array::wrap(&square[0][0], { 2, 2 }, { sizeof(float), sizeof(square[0]) });
	auto rows = view.call("numpy:ravel", turned);
	expect(rows.all<std::vector<float>>().at(0) == std::vector<float>({ 1, 3, 2, 4 }), "strides");
	try {
		twice.elements<float>();
		expect(false, "double is not float");
	} catch (const pxrun::error &e) {
		expect(e.code() == PX_EINVAL, "the code of another type");
	}
}

void errors(const pxrun::client &client, const pxrun::view &view)
{
	auto result = view.execute("print('so far'); 1/0");
	result.wait();
	try {
		result.value(0);
		expect(false, "1/0 raises");
	} catch (const pxrun::remote_error &e) {
		expect(e.code() == PX_EREMOTE && e.ename() == "ZeroDivisionError", "what was raised");
		expect(e.traceback().find("1/0") != std::string::npos, "where it was raised");
	}
	expect(result.output(0) == "so far\n", "what was printed");
	try {
		pxrun::view::of(client, {});
		expect(false, "no engines");
	} catch (const pxrun::error &e) {
		expect(e.code() == PX_EINVAL && *e.what(), "the words of a failure");
	}
}

void pool(const pxrun::client &client)
{
	px_status status = client.status();
	auto here = [&] {
		for (const pxrun::pool &pool : pxrun::pools())
			if (pool.supervisor_pid == status.supervisor_pid)
				return true;
		return false;
	};

	expect(status.engines_up == 2 && status.clients == 1, "the pool's state");
	expect(here(), "the list of pools");
	expect(client.status(1).pid > 0 && client.status(1).state == PX_ENGINE_IS_UP, "an engine's state");
	expect(client.status_json()[0] == '{', "the state as JSON");
	expect(client.memory().arena_bytes == status.arena_bytes, "memory");
	std::uint32_t added = client.add_engines(1);
	expect(added == 2 && client.engines().size() == 3, "an engine more");
	client.remove_engine(added);
	client.restart_engine(1);
	expect(client.status(1).restarts == 2, "an engine anew");
}

void limits(const pxrun::view &view)
{
	std::vector<pxrun::result> both;
	both.push_back(view.execute("import time; time.sleep(20)", pxrun::how(PX_QUIET, std::chrono::seconds(1))));
	both.push_back(view.execute("print(6 * 7)"));
	expect(pxrun::wait_any(both) == 0, "the limited one is first");
	try {
		both[0].value(1);
		expect(false, "its time is up");
	} catch (const pxrun::error &e) {
		expect(e.code() == PX_ETIMEDOUT, "the code of a limit");
	}
	expect(both[1].wait_output(0, 0) && both[1].output(0) == "42\n", "what is printed later");
	px_times times = both[1].times(0);
	both[1].wait();
	expect(times.submitted_ns > 0 && times.submitted_ns <= both[1].times(0).completed_ns, "times");
	expect(pxrun::wait_any(both, std::chrono::seconds(0)) == 0, "both are ready");
	auto dying = view.execute("import os; os._exit(3)");
	dying.wait();
	expect(dying.death(1) == std::make_pair(0, 3), "how an engine ended");
}

void parts(const pxrun::view &view)
{
	std::vector<double> numbers(10), doubled(10);
	std::iota(numbers.begin(), numbers.end(), 0.0);
	auto whole = pxrun::array::wrap(numbers.data(), { 10 });
	auto back = pxrun::array::wrap(doubled.data(), { 10 });

	view.scatter("part", whole, 0, PX_CYCLIC);
	view.execute("part = 2 * part");
	auto pulled = view.pull("part");
	pulled.wait();
	pulled.gather(back, 0, PX_CYCLIC);
	expect(doubled[9] == 18 && doubled[4] == 8, "parts go and come back");

	auto lengths = view.map("builtins:len", std::vector<std::string>{ "a", "bb", "ccc" });
	lengths.wait();
	expect(lengths.item<int>(0) == 1 && lengths.item<int>(2) == 3, "a map");

	auto roots = view.map("math:sqrt", std::vector<double>{ 4, 9, -1, -4 }, 2);
	roots.wait();
	expect(roots.item<double>(1) == 3, "a chunk that did not fail");
	try {
		roots.item<double>(2);
		expect(false, "an item that failed");
	} catch (const pxrun::remote_error &e) {
		expect(e.ename() == "ValueError" && e.traceback().find("element 2 of the map") != std::string::npos,
		       "an item that failed says how");
	}
}

void native(const pxrun::view &view)
{
	pxrun::library library = view.load("./libscale.so");
	pxrun::kernel scale = library.find("scaled");

	auto sums = view.call_native(scale, std::vector<double>{ 1, 2, 3 }, 10.0).all<double>();
	expect(sums == std::vector<double>({ 60, 61 }), "a native function");
	auto wrong = view.call_native(scale, 1);
	wrong.wait();
	try {
		wrong.value(0);
		expect(false, "a native function may fail");
	} catch (const pxrun::remote_error &e) {
		expect(e.evalue() == "scaled(x, factor): x is an array of doubles", "why it failed");
	}
	try {
		library.find("nothing");
		expect(false, "there is no such function");
	} catch (const pxrun::error &e) {
		expect(e.code() == PX_EINVAL, "the code of a function that is not there");
	}
}

void tasks(const pxrun::client &client)
{
	auto any = pxrun::view::any(client);
	std::vector<pxrun::result> kept;
	double sum = 0;

	for (int i = 0; i < 20; i++)
		any.call("math:sqrt", i * i).release();
	for (int i = 0; i < 20; i++) {
		pxrun::result one = client.next();
		sum += one.get<double>(0);
		kept.push_back(std::move(one));
	}
	expect(sum == 190 && kept.size() == 20 && !client.next(std::chrono::milliseconds(1)), "tasks, as they finish");
}

} // namespace

int main()
{
	try {
		px_pool_options options = pxrun::options();
		options.profile = "";
		options.engines = 2;
		pxrun::client client = pxrun::client::start(options);
		pxrun::view all = pxrun::view::all(client);

		expect(client.engines() == std::vector<std::uint32_t>({ 0, 1 }), "engines");
		expect(all.call("math:hypot", 3, 4).all<double>() == std::vector<double>({ 5, 5 }), "a call");
		values(all);
		arrays(client, all);
		errors(client, all);
		parts(all);
		limits(all);
		native(all);
		tasks(client);
		pool(client);
	} catch (const std::exception &e) {
		std::cerr << "pools.cpp: " << e.what() << '\n';
		return 1;
	}
	return failures != 0;
}
