// SPDX-License-Identifier: BSD-3-Clause
//
// pxrun.hpp - pxrun.h for C++11 and newer: handles that free themselves, values from C++ types, exceptions.
//
//     pxrun::client client = pxrun::client::start();
//     pxrun::view all = pxrun::view::all(client);
//     pxrun::result sums = all.call("math:hypot", 3, 4);
//     sums.wait();
//     double sum = sums.get<double>(0);
//
// It adds nothing to the library, which it calls by pxrun.h; what that says of threads, forks, times
// and memory holds here. Differences:
//
//   - Each handle is an object that may be moved but not copied, and ends with it; c() gives the C
//     handle, which stays the object's. Only an array may be copied: a copy is a reference more.
//   - What fails throws pxrun::error, with the code and the words. Of those that wait, a time that is up
//     is no failure: they return false.
//   - Times are any std::chrono::duration; without one there is no limit.
#ifndef PXRUN_HPP
#define PXRUN_HPP

#include <chrono>
#include <complex>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

#include <pxrun.h>

namespace pxrun {

// --- errors ---

class error : public std::runtime_error {
public:
	error(int code, const std::string &words) : std::runtime_error(words), code_(code) {}
	int code() const noexcept { return code_; } // PX_E…

private:
	int code_;
};

// The request raised an exception on its engine (PX_EREMOTE).
class remote_error : public error {
public:
	remote_error(const std::string &words, const std::string &ename, const std::string &evalue, const std::string &traceback)
		: error(PX_EREMOTE, words), ename_(ename), evalue_(evalue), traceback_(traceback)
	{
	}
	const std::string &ename() const noexcept { return ename_; } // as "ZeroDivisionError"
	const std::string &evalue() const noexcept { return evalue_; }
	const std::string &traceback() const noexcept { return traceback_; }

private:
	std::string ename_, evalue_, traceback_;
};

// What a function of pxrun.h returned: throws if it failed.
inline int check(int rc)
{
	if (rc < 0)
		throw error(rc, px_last_error());
	return rc;
}

// --- times ---

class timeout {
public:
	timeout() : ns_(PX_FOREVER) {}
	template <class Rep, class Period>
	timeout(std::chrono::duration<Rep, Period> time)
		: ns_(time.count() <= 0 ? 0 :
					  static_cast<std::uint64_t>(
						  std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()))
	{
	}
	std::uint64_t ns() const noexcept { return ns_; }

private:
	std::uint64_t ns_;
};

// --- spans: elements that lie behind one another, of somebody else ---

#if __cplusplus >= 202002L
template <class T> using span = std::span<T>;
#else
template <class T> class span {
public:
	span() noexcept : data_(nullptr), size_(0) {}
	span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
	template <class U, class = typename std::enable_if<std::is_convertible<U (*)[], T (*)[]>::value>::type>
	span(const span<U> &other) noexcept : data_(other.data()), size_(other.size())
	{
	}
	T *data() const noexcept { return data_; }
	std::size_t size() const noexcept { return size_; }
	bool empty() const noexcept { return size_ == 0; }
	T *begin() const noexcept { return data_; }
	T *end() const noexcept { return data_ + size_; }
	T &operator[](std::size_t i) const noexcept { return data_[i]; }

private:
	T *data_;
	std::size_t size_;
};
#endif

// --- arrays ---

// The px_dtype of a C++ type: dtype_of<double>::value. Others have none.
template <class T, class = void> struct dtype_of {
	static constexpr bool is_known = false;
};
template <class T>
struct dtype_of<T, typename std::enable_if<std::is_integral<T>::value && !std::is_same<T, bool>::value>::type> {
	static constexpr bool is_known = true;
	static constexpr px_dtype value = static_cast<px_dtype>((std::is_signed<T>::value ? 0x0000 : 0x0100) | sizeof(T) * 8);
};
template <> struct dtype_of<bool> {
	static constexpr bool is_known = sizeof(bool) == 1;
	static constexpr px_dtype value = PX_DTYPE_BOOL;
};
template <> struct dtype_of<float> {
	static constexpr bool is_known = true;
	static constexpr px_dtype value = PX_DTYPE_FLOAT32;
};
template <> struct dtype_of<double> {
	static constexpr bool is_known = true;
	static constexpr px_dtype value = PX_DTYPE_FLOAT64;
};
template <> struct dtype_of<std::complex<float>> {
	static constexpr bool is_known = true;
	static constexpr px_dtype value = PX_DTYPE_COMPLEX64;
};
template <> struct dtype_of<std::complex<double>> {
	static constexpr bool is_known = true;
	static constexpr px_dtype value = PX_DTYPE_COMPLEX128;
};

namespace detail {

// A C handle and what frees it.
template <class H, void (*Free)(H *)> class handle {
public:
	explicit handle(H *h = nullptr) noexcept : h_(h) {}
	handle(handle &&other) noexcept : h_(other.release()) {}
	handle &operator=(handle &&other) noexcept
	{
		if (this != &other) {
			Free(h_);
			h_ = other.release();
		}
		return *this;
	}
	handle(const handle &) = delete;
	handle &operator=(const handle &) = delete;
	~handle() { Free(h_); }

	H *c() const noexcept { return h_; }
	explicit operator bool() const noexcept { return h_ != nullptr; }
	// Gives the C handle away: whoever gets it frees it.
	H *release() noexcept
	{
		H *h = h_;
		h_ = nullptr;
		return h;
	}

private:
	H *h_;
};

} // namespace detail

class client;

class array {
public:
	using shape_type = std::vector<std::int64_t>;

	// Takes one reference over.
	explicit array(px_array *a = nullptr) noexcept : a_(a) {}
	array(const array &other) noexcept : a_(other.a_)
	{
		if (a_)
			px_array_ref(a_);
	}
	array(array &&other) noexcept : a_(other.release()) {}
	array &operator=(array other) noexcept
	{
		std::swap(a_, other.a_);
		return *this;
	}
	~array() { px_array_unref(a_); }

	// As px_array_alloc(): memory that engines see.
	static array alloc(const client &client, px_dtype dtype, const shape_type &shape, unsigned flags = 0);
	template <class T> static array alloc(const client &client, const shape_type &shape, unsigned flags = 0)
	{
		static_assert(dtype_of<T>::is_known, "pxrun has no dtype for this type");
		return alloc(client, dtype_of<T>::value, shape, flags);
	}
	// As px_array_wrap(): the program's memory, which has to outlive it. strides in bytes; {}: row-major.
	template <class T> static array wrap(T *data, const shape_type &shape, const shape_type &strides = shape_type())
	{
		using element = typename std::remove_cv<T>::type;
		static_assert(dtype_of<element>::is_known, "pxrun has no dtype for this type");
		if (!strides.empty() && strides.size() != shape.size())
			throw error(PX_EINVAL, "an array needs as many strides as its shape has numbers");
		px_array *a;
		check(px_array_wrap(const_cast<element *>(data), dtype_of<element>::value, static_cast<int>(shape.size()), shape.data(),
				    strides.empty() ? nullptr : strides.data(), &a));
		return array(a);
	}
	static array load(const std::string &npy)
	{
		px_array *a;
		check(px_array_load(nullptr, npy.c_str(), &a));
		return array(a);
	}
	static array load(const client &client, const std::string &npy);
	void save(const std::string &npy) const { check(px_array_save(a_, npy.c_str())); }
	static array from_dlpack(DLManagedTensorVersioned *tensor)
	{
		px_array *a;
		check(px_array_from_dlpack(tensor, &a));
		return array(a);
	}
	DLManagedTensorVersioned *to_dlpack() const
	{
		DLManagedTensorVersioned *tensor;
		check(px_array_to_dlpack(a_, &tensor));
		return tensor;
	}

	void *data() const noexcept { return px_array_data(a_); }
	int ndim() const noexcept { return px_array_ndim(a_); }
	span<const std::int64_t> shape() const noexcept { return numbers(px_array_shape(a_)); }
	span<const std::int64_t> strides() const noexcept { return numbers(px_array_strides(a_)); }
	px_dtype dtype() const noexcept { return static_cast<px_dtype>(px_array_dtype(a_)); }
	std::uint64_t bytes() const noexcept { return px_array_bytes(a_); }
	std::size_t size() const noexcept
	{
		std::size_t count = 1;
		for (std::int64_t n : shape())
			count *= static_cast<std::size_t>(n);
		return count;
	}
	// Row-major without gaps.
	bool is_contiguous() const noexcept
	{
		span<const std::int64_t> lengths = shape(), steps = strides();
		std::int64_t step = static_cast<std::int64_t>((px_array_dtype(a_) & 0xff) / 8);
		for (std::size_t i = lengths.size(); i-- > 0; step *= lengths[i])
			if (lengths[i] != 1 && steps[i] != step && size() != 0)
				return false;
		return true;
	}
	// Its elements, row-major. Throws if they are of another type, or do not lie so.
	template <class T> span<T> elements() const
	{
		using element = typename std::remove_cv<T>::type;
		static_assert(dtype_of<element>::is_known, "pxrun has no dtype for this type");
		if (dtype() != dtype_of<element>::value)
			throw error(PX_EINVAL, "the array's elements are of another type than the program takes them for");
		if (!is_contiguous())
			throw error(PX_EINVAL, "the array is not row-major without gaps: use data() and strides()");
		return span<T>(static_cast<T *>(data()), size());
	}
	// False: engines still hold it after that time.
	bool wait(timeout time = timeout()) const
	{
		int rc = px_array_wait(a_, time.ns());
		return rc == PX_ETIMEDOUT ? false : (check(rc), true);
	}
	std::vector<std::uint32_t> holders() const
	{
		std::vector<std::uint32_t> engines(PX_ENGINES_MAX);
		engines.resize(static_cast<std::size_t>(check(px_array_holders(a_, engines.data(), engines.size()))));
		return engines;
	}

	px_array *c() const noexcept { return a_; }
	explicit operator bool() const noexcept { return a_ != nullptr; }
	px_array *release() noexcept
	{
		px_array *a = a_;
		a_ = nullptr;
		return a;
	}

private:
	span<const std::int64_t> numbers(const std::int64_t *first) const noexcept
	{
		return span<const std::int64_t>(first, a_ ? static_cast<std::size_t>(ndim()) : 0);
	}
	px_array *a_;
};

// --- values that are sent ---

// Any argument. It keeps what it was made of, but the elements of vectors that are lvalues, of spans and of
// wrapped arrays, which stay the program's and must be there until the request was sent.
class value {
public:
	value() : v_(px_none()) {}
	value(std::nullptr_t) : v_(px_none()) {}
	value(bool truth) : v_(px_bool(truth)) {}
	template <class T, typename std::enable_if<std::is_integral<T>::value && std::is_signed<T>::value, int>::type = 0>
	value(T number) : v_(px_int(number))
	{
	}
	template <class T, typename std::enable_if<std::is_integral<T>::value && std::is_unsigned<T>::value &&
							   !std::is_same<T, bool>::value,
						   int>::type = 0>
	value(T number) : v_(px_uint(number))
	{
	}
	template <class T, typename std::enable_if<std::is_floating_point<T>::value, int>::type = 0>
	value(T number) : v_(px_double(static_cast<double>(number)))
	{
	}
	template <class T>
	value(const std::complex<T> &number)
		: v_(px_complex(static_cast<double>(number.real()), static_cast<double>(number.imag())))
	{
	}
	value(const char *text) : value(std::string(text)) {}
	value(std::string text)
	{
		auto kept = std::make_shared<std::string>(std::move(text));
		v_ = px_string_n(kept->data(), kept->size());
		kept_ = kept;
	}
	value(pxrun::array array)
	{
		auto kept = std::make_shared<pxrun::array>(std::move(array));
		v_ = px_of_array(kept->c());
		kept_ = kept;
	}
	// Numbers go as an array of one dimension, and without a copy on this side.
	template <class T, typename std::enable_if<dtype_of<typename std::remove_cv<T>::type>::is_known, int>::type = 0>
	value(span<T> numbers) : value(pxrun::array::wrap(numbers.data(), { static_cast<std::int64_t>(numbers.size()) }))
	{
	}
	template <class T,
		  typename std::enable_if<dtype_of<T>::is_known && !std::is_same<T, bool>::value, int>::type = 0>
	value(const std::vector<T> &numbers) : value(span<const T>(numbers.data(), numbers.size()))
	{
	}
	template <class T,
		  typename std::enable_if<dtype_of<T>::is_known && !std::is_same<T, bool>::value, int>::type = 0>
	value(std::vector<T> &&numbers)
	{
		struct both {
			std::vector<T> numbers;
			pxrun::array array;
		};
		auto kept = std::make_shared<both>();
		kept->numbers = std::move(numbers);
		kept->array = pxrun::array::wrap(kept->numbers.data(), { static_cast<std::int64_t>(kept->numbers.size()) });
		v_ = px_of_array(kept->array.c());
		kept_ = kept;
	}
	// All else goes as a list.
	template <class T,
		  typename std::enable_if<!dtype_of<T>::is_known || std::is_same<T, bool>::value, int>::type = 0>
	value(const std::vector<T> &items) : value(list(std::vector<value>(items.begin(), items.end())))
	{
	}
	value(std::vector<value> items) : value(list(std::move(items))) {}
	template <class K, class T> value(const std::map<K, T> &entries)
	{
		std::vector<std::pair<value, value>> pairs;
		for (const auto &entry : entries)
			pairs.emplace_back(value(entry.first), value(entry.second));
		*this = dict(std::move(pairs));
	}

	static value bytes(std::string data)
	{
		auto kept = std::make_shared<std::string>(std::move(data));
		return value(px_bytes(kept->data(), kept->size()), kept);
	}
	static value list(std::vector<value> items)
	{
		auto kept = std::make_shared<many>();
		kept->add(std::move(items));
		return value(px_list(kept->raw.data(), kept->raw.size()), kept);
	}
	static value dict(std::vector<std::pair<value, value>> entries)
	{
		auto kept = std::make_shared<many>();
		std::vector<value> halves;
		for (auto &entry : entries)
			halves.push_back(std::move(entry.first));
		for (auto &entry : entries)
			halves.push_back(std::move(entry.second));
		kept->add(std::move(halves));
		return value(px_dict(kept->raw.data(), kept->raw.data() + entries.size(), entries.size()), kept);
	}

	const px_value &c() const noexcept { return v_; }

private:
	struct many {
		std::vector<value> items;
		std::vector<px_value> raw;
		void add(std::vector<value> &&these)
		{
			items = std::move(these);
			for (const value &item : items)
				raw.push_back(item.v_);
		}
	};
	value(px_value v, std::shared_ptr<const void> kept) : v_(v), kept_(std::move(kept)) {}

	px_value v_;
	std::shared_ptr<const void> kept_;
};

// Keyword arguments: {{"axis", 0}, {"dtype", "float32"}}
using keywords = std::vector<std::pair<value, value>>;

// --- values that were received ---

namespace detail {

template <class T, class = void> struct reader;

template <class T> struct reader<T, typename std::enable_if<std::is_integral<T>::value>::type> {
	static T read(const px_value &v)
	{
		if (v.type == PX_UINT && sizeof(T) == 8 && std::is_unsigned<T>::value)
			return static_cast<T>(v.as.natural);
		std::int64_t number;
		check(px_value_as_int64(&v, &number));
		T narrow = static_cast<T>(number);
		if (static_cast<std::int64_t>(narrow) != number || (number < 0) != (narrow < T(0)))
			throw error(PX_EINVAL, "the integer " + std::to_string(number) + " does not fit into the program's type");
		return narrow;
	}
};
template <> struct reader<bool> {
	static bool read(const px_value &v)
	{
		std::int64_t number;
		check(px_value_as_int64(&v, &number));
		return number != 0;
	}
};
template <class T> struct reader<T, typename std::enable_if<std::is_floating_point<T>::value>::type> {
	static T read(const px_value &v)
	{
		double number;
		check(px_value_as_double(&v, &number));
		return static_cast<T>(number);
	}
};
template <class T> struct reader<std::complex<T>> {
	static std::complex<T> read(const px_value &v)
	{
		if (v.type == PX_COMPLEX)
			return std::complex<T>(static_cast<T>(v.as.complex_number.re), static_cast<T>(v.as.complex_number.im));
		return std::complex<T>(reader<T>::read(v));
	}
};
template <> struct reader<std::string> {
	static std::string read(const px_value &v)
	{
		const char *text;
		check(px_value_as_text(&v, &text));
		return std::string(text, static_cast<std::size_t>(v.as.text.bytes));
	}
};
template <> struct reader<array> {
	static array read(const px_value &v)
	{
		if (v.type != PX_ARRAY)
			throw error(PX_EINVAL, "the value is no array");
		px_array_ref(v.as.array);
		return array(v.as.array);
	}
};
template <class T> struct reader<std::vector<T>> {
	static std::vector<T> read(const px_value &v)
	{
		return v.type == PX_ARRAY ? of_array(v, std::integral_constant<bool, dtype_of<T>::is_known>()) : of_list(v);
	}

private:
	static std::vector<T> of_array(const px_value &v, std::true_type)
	{
		array a = reader<array>::read(v);
		span<const T> elements = a.template elements<const T>();
		return std::vector<T>(elements.begin(), elements.end());
	}
	static std::vector<T> of_array(const px_value &v, std::false_type) { return of_list(v); }
	static std::vector<T> of_list(const px_value &v)
	{
		if (v.type != PX_LIST)
			throw error(PX_EINVAL, "the value is no list");
		std::vector<T> items;
		for (std::uint64_t i = 0; i < v.as.list.count; i++)
			items.push_back(reader<T>::read(v.as.list.items[i]));
		return items;
	}
};
template <class T> struct reader<std::map<std::string, T>> {
	static std::map<std::string, T> read(const px_value &v)
	{
		if (v.type != PX_DICT)
			throw error(PX_EINVAL, "the value is no dict");
		std::map<std::string, T> entries;
		for (std::uint64_t i = 0; i < v.as.dict.count; i++)
			entries[reader<std::string>::read(v.as.dict.keys[i])] = reader<T>::read(v.as.dict.values[i]);
		return entries;
	}
};

} // namespace detail

// A value as a C++ type: numbers, std::complex, std::string, array, std::vector and std::map<std::string, …>
// of them. Throws PX_EINVAL if it is something else, or does not fit.
template <class T> T as(const px_value &v)
{
	return detail::reader<T>::read(v);
}

// --- results ---

class result : public detail::handle<px_result, px_result_free> {
public:
	using handle::handle;

	std::size_t count() const noexcept { return px_result_count(c()); }
	bool ready() const noexcept { return px_result_ready(c()) == 1; }
	// False: not all entries are ready after that time.
	bool wait(timeout time = timeout()) const
	{
		int rc = px_result_wait(c(), time.ns());
		return rc == PX_ETIMEDOUT ? false : (check(rc), true);
	}
	std::uint32_t engine(std::size_t index) const noexcept { return px_result_engine(c(), index); }
	// Its memory is the result's. Throws what became of the entry if it failed; PX_EAGAIN if it is not ready.
	px_value value(std::size_t index) const
	{
		px_value v;
		int rc = px_result_value(c(), index, &v);
		if (rc == PX_EREMOTE)
			throw_remote(px_last_error(), index);
		check(rc);
		return v;
	}
	template <class T> T get(std::size_t index) const { return as<T>(value(index)); }
	// Of view::map(): what the function returned for an item. Throws what became of its chunk if that failed.
	template <class T> T item(std::size_t index) const
	{
		px_value v;
		int rc = px_result_item(c(), index, &v);
		if (rc == PX_EREMOTE) {
			const std::string words = px_last_error();
			throw_remote(words, item_entry(index));
		}
		check(rc);
		return as<T>(v);
	}
	// The entry that is an item's chunk.
	std::size_t item_entry(std::size_t index) const
	{
		std::size_t entry;
		check(px_result_item_entry(c(), index, &entry));
		return entry;
	}
	// Joins the arrays of all entries, into an array that is there.
	void gather(const array &into, int axis = 0, px_distribution distribution = PX_BLOCK) const
	{
		check(px_result_gather(c(), axis, distribution, into.c()));
	}
	// All of them, in the order of the entries. Waits.
	template <class T> std::vector<T> all() const
	{
		std::vector<T> values;
		wait();
		for (std::size_t i = 0; i < count(); i++)
			values.push_back(get<T>(i));
		return values;
	}
	// Waits, and throws if an entry failed.
	void check_all() const
	{
		wait();
		for (std::size_t i = 0; i < count(); i++)
			value(i);
	}
	// What an entry printed so far. which: 1, stdout; 2, stderr.
	std::string output(std::size_t index, int which = 1) const
	{
		std::string text;
		char part[4096];
		std::size_t got;
		do {
			check(px_result_output(c(), index, which, text.size(), part, sizeof(part), &got));
			text.append(part, got);
		} while (got == sizeof(part));
		return text;
	}
	// False: there is no more than that many bytes after that time, and the entry is not ready.
	bool wait_output(std::size_t index, std::uint64_t from, int which = 1, timeout time = timeout()) const
	{
		int rc = px_result_wait_output(c(), index, which, from, time.ns());
		return rc == PX_ETIMEDOUT ? false : (check(rc), true);
	}
	px_times times(std::size_t index) const
	{
		px_times t = PX_TIMES;
		check(px_result_times(c(), index, &t));
		return t;
	}
	// How the engine of an entry with PX_EENGINE has ended: the signal, or 0 and its exit code.
	std::pair<int, int> death(std::size_t index) const
	{
		int signal_number, exit_code;
		check(px_result_death(c(), index, &signal_number, &exit_code));
		return { signal_number, exit_code };
	}
	void set_user(void *user) const { check(px_result_set_user(c(), user)); }
	void *user() const noexcept { return px_result_user(c()); }
	void interrupt(std::size_t index) const { check(px_result_interrupt(c(), index)); }
	void cancel(std::size_t index = PX_ALL_ENTRIES) const { check(px_result_cancel(c(), index)); }
	std::size_t abort() const noexcept { return px_result_abort(c()); }

private:
	void throw_remote(const std::string &words, std::size_t index) const
	{
		const char *ename, *evalue, *traceback;
		check(px_result_error(c(), index, &ename, &evalue, &traceback));
		throw remote_error(words, ename, evalue, traceback);
	}
};

// The index of the first that is ready; how many there are, if none is after that time.
inline std::size_t wait_any(const std::vector<result> &results, timeout time = timeout())
{
	std::vector<px_result *> raw;
	for (const result &r : results)
		raw.push_back(r.c());
	std::size_t which;
	int rc = px_result_wait_any(raw.data(), raw.size(), time.ns(), &which);
	return rc == PX_ETIMEDOUT ? raw.size() : (check(rc), which);
}

// --- pools and clients ---

// Options with their defaults, for a program to set what it wants.
inline px_pool_options options()
{
	px_pool_options o;
	px_pool_options_init(&o);
	return o;
}

// Stops the pool of a profile; NULL: as in client::attach().
inline void stop_pool(const char *profile, timeout time = timeout())
{
	check(px_pool_stop(profile, time.ns()));
}

// One of this user's pools that run.
struct pool {
	std::string profile, connection_file, started;
	int supervisor_pid;
	std::uint32_t engines;
};

inline std::vector<pool> pools()
{
	std::vector<pool> found;
	check(px_pool_list(
		[](void *to, const px_pool_info *info) {
			static_cast<std::vector<pool> *>(to)->push_back(
				{ info->profile, info->connection_file, info->started, info->supervisor_pid, info->engines });
		},
		&found));
	return found;
}

class client : public detail::handle<px_client, px_client_detach> {
public:
	using handle::handle;

	static client start(const px_pool_options &options = pxrun::options())
	{
		px_client *c;
		check(px_pool_start(&options, &c));
		return client(c);
	}
	// NULL: as `pxrun run` says, else $PXRUN_PROFILE's, else "default".
	static client attach(const char *profile = nullptr, timeout time = timeout())
	{
		px_client *c;
		check(px_client_attach(profile, time.ns(), &c));
		return client(c);
	}
	std::vector<std::uint32_t> engines() const
	{
		std::vector<std::uint32_t> ids(PX_ENGINES_MAX);
		ids.resize(static_cast<std::size_t>(check(px_client_engines(c(), ids.data(), ids.size()))));
		return ids;
	}
	// The next result that finished; an empty one if none has in that time.
	result next(timeout time = timeout()) const
	{
		px_result *r;
		int rc = px_client_next(c(), time.ns(), &r);
		if (rc == PX_ETIMEDOUT)
			return result();
		check(rc);
		return result(r);
	}
	int fd() const { return check(px_client_fd(c())); }
	void poll() const { check(px_client_poll(c())); }
	void stop_pool(timeout time = timeout()) const { check(px_client_stop_pool(c(), time.ns())); }
	void signal(std::uint32_t engine, int number, timeout time = timeout()) const
	{
		check(px_client_signal(c(), engine, number, time.ns()));
	}
	// The first new id.
	std::uint32_t add_engines(std::uint32_t count, timeout time = timeout()) const
	{
		std::uint32_t first;
		check(px_client_add_engines(c(), count, time.ns(), &first));
		return first;
	}
	void restart_engine(std::uint32_t engine, timeout time = timeout()) const
	{
		check(px_client_restart_engine(c(), engine, time.ns()));
	}
	void remove_engine(std::uint32_t engine, timeout time = timeout()) const
	{
		check(px_client_remove_engine(c(), engine, time.ns()));
	}
	px_status status() const
	{
		px_status s = px_status();
		s.size = sizeof(s);
		check(px_client_status(c(), &s));
		return s;
	}
	px_engine_status status(std::uint32_t engine) const
	{
		px_engine_status s = px_engine_status();
		s.size = sizeof(s);
		check(px_client_engine_status(c(), engine, &s));
		return s;
	}
	std::string status_json() const
	{
		char *json;
		check(px_client_status_json(c(), &json));
		std::unique_ptr<char, void (*)(void *)> kept(json, std::free);
		return kept.get();
	}
	px_memory memory() const
	{
		px_memory m = px_memory();
		m.size = sizeof(m);
		check(px_client_memory(c(), &m));
		return m;
	}
	std::uint64_t trim() const noexcept { return px_client_trim(c()); }
};

inline array array::alloc(const client &client, px_dtype dtype, const shape_type &shape, unsigned flags)
{
	px_array *a;
	check(px_array_alloc(client.c(), dtype, static_cast<int>(shape.size()), shape.data(), flags, &a));
	return array(a);
}

inline array array::load(const client &client, const std::string &npy)
{
	px_array *a;
	check(px_array_load(client.c(), npy.c_str(), &a));
	return array(a);
}

// --- native functions ---

// Belongs to its library.
class kernel {
public:
	explicit kernel(px_kernel *k = nullptr) noexcept : k_(k) {}
	px_kernel *c() const noexcept { return k_; }

private:
	px_kernel *k_;
};

// A shared object that engines have loaded.
class library : public detail::handle<px_library, px_library_free> {
public:
	using handle::handle;

	kernel find(const std::string &symbol) const
	{
		px_kernel *k;
		check(px_kernel_find(c(), symbol.c_str(), &k));
		return kernel(k);
	}
};

// --- views and requests ---

// How a request is made; of the rest, the defaults. A limit of 0 is none.
inline px_how how(unsigned flags = 0, std::chrono::nanoseconds limit = std::chrono::nanoseconds(0))
{
	px_how h = PX_HOW;
	h.flags = flags;
	h.timeout_ns = static_cast<std::uint64_t>(limit.count());
	return h;
}

class view : public detail::handle<px_view, px_view_free> {
public:
	using handle::handle;

	static view all(const client &client) { return made(px_view_all, client); }
	static view any(const client &client) { return made(px_view_any, client); }
	static view of(const client &client, const std::vector<std::uint32_t> &ids) { return made(px_view_of, client, ids); }
	static view any_of(const client &client, const std::vector<std::uint32_t> &ids)
	{
		return made(px_view_any_of, client, ids);
	}

	result noop(const px_how &how = pxrun::how()) const
	{
		px_result *r;
		check(px_view_noop(c(), &how, &r));
		return result(r);
	}
	result execute(const std::string &code, const px_how &how = pxrun::how()) const
	{
		px_result *r;
		check(px_view_execute(c(), code.c_str(), &how, &r));
		return result(r);
	}
	// "module:function", or a name in the engine's namespace, and its arguments.
	template <class... Arguments> result call(const std::string &function, Arguments &&...arguments) const
	{
		return apply(function, std::vector<value>{ value(std::forward<Arguments>(arguments))... });
	}
	// The same with keyword arguments.
	result apply(const std::string &function, const std::vector<value> &arguments,
		     const keywords &words = keywords(), const px_how &how = pxrun::how()) const
	{
		std::vector<px_value> argv = raw(arguments);
		value dict = value::dict(words);
		px_result *r;
		check(px_view_call(c(), function.c_str(), argv.size(), argv.data(), &dict.c(), &how, &r));
		return result(r);
	}
	result push(const std::string &name, const value &what, const px_how &how = pxrun::how()) const
	{
		px_result *r;
		check(px_view_push(c(), name.c_str(), &what.c(), &how, &r));
		return result(r);
	}
	result pull(const std::string &name, const px_how &how = pxrun::how()) const
	{
		px_result *r;
		check(px_view_pull(c(), name.c_str(), &how, &r));
		return result(r);
	}

	result scatter(const std::string &name, const array &whole, int axis = 0, px_distribution distribution = PX_BLOCK,
		       const px_how &how = pxrun::how()) const
	{
		px_result *r;
		check(px_view_scatter(c(), name.c_str(), whole.c(), axis, distribution, &how, &r));
		return result(r);
	}
	// The function of each item; result::item() finds what became of it. chunk: 0 is automatic.
	template <class T>
	result map(const std::string &function, const std::vector<T> &items, std::size_t chunk = 0,
		   const px_how &how = pxrun::how()) const
	{
		const std::vector<value> values(items.begin(), items.end());
		std::vector<px_value> argv = raw(values);
		px_result *r;
		check(px_view_map(c(), function.c_str(), argv.size(), argv.data(), chunk, &how, &r));
		return result(r);
	}
	library load(const std::string &path, timeout time = timeout()) const
	{
		px_library *l;
		check(px_library_load(c(), path.c_str(), time.ns(), &l));
		return library(l);
	}
	template <class... Arguments> result call_native(const kernel &function, Arguments &&...arguments) const
	{
		return apply_native(function, std::vector<value>{ value(std::forward<Arguments>(arguments))... });
	}
	result apply_native(const kernel &function, const std::vector<value> &arguments, const px_how &how = pxrun::how()) const
	{
		std::vector<px_value> argv = raw(arguments);
		px_result *r;
		check(px_view_call_native(c(), function.c(), argv.size(), argv.data(), &how, &r));
		return result(r);
	}

private:
	static std::vector<px_value> raw(const std::vector<value> &arguments)
	{
		std::vector<px_value> argv;
		for (const value &argument : arguments)
			argv.push_back(argument.c());
		return argv;
	}
	static view made(int make(px_client *, px_view **), const client &client)
	{
		px_view *v;
		check(make(client.c(), &v));
		return view(v);
	}
	static view made(int make(px_client *, const std::uint32_t *, std::size_t, px_view **), const client &client,
			 const std::vector<std::uint32_t> &ids)
	{
		px_view *v;
		check(make(client.c(), ids.data(), ids.size(), &v));
		return view(v);
	}
};

} // namespace pxrun

#endif
