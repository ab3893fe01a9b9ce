// Reading golden vectors and writing results, for programs in C++: copy this file as it is.
//
// From top to bottom: the subset of YAML that vectors are written in, and NPZ. vectors/README.md describes both. The sizes that the
// files declare are trusted. Little-endian machines only, as nearly all are. Link with -lz.

#pragma once

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fs = std::filesystem;
using std::size_t;
using std::string;
using std::vector;

struct Refused : std::runtime_error { using runtime_error::runtime_error; };      // the optimizer raises an error
struct Unsupported : std::runtime_error { using runtime_error::runtime_error; };  // this program does not do that

// ---- YAML: the subset that vectors are written in ----------------------------------------------------------------

struct Value {
    enum Kind { WORD, QUOTED, LIST, MAP } kind = WORD;
    string text;                                   // WORD, QUOTED
    vector<Value> items;                           // LIST
    vector<std::pair<string, Value>> entries;      // MAP

    const Value* find(const string& key) const {
        for (const auto& [name, value] : entries)
            if (name == key) return &value;
        return nullptr;
    }
    const Value& at(const string& key) const {
        if (const Value* value = find(key)) return *value;
        throw std::runtime_error("no key " + key);
    }
    // The number, or an error of the optimizer: what is no number is an invalid hyper-parameter.
    double number() const {
        if (kind == WORD && text == ".nan") return NAN;
        if (kind == WORD && (text == ".inf" || text == "-.inf")) return text[0] == '-' ? -INFINITY : INFINITY;
        char* end = nullptr;
        double value = std::strtod(text.c_str(), &end);
        if (kind != WORD || text.empty() || *end) throw Refused("not a number: '" + text + "'");
        return value;
    }
    size_t count() const { return static_cast<size_t>(number()); }
    vector<size_t> counts() const {
        vector<size_t> result;
        for (const Value& item : items) result.push_back(item.count());
        return result;
    }
};

// A value in flow style, such as {name: w, shape: [5, 3]}. `at` moves behind it.
Value parse(const string& line, size_t& at) {
    auto blanks = [&] { while (at < line.size() && line[at] == ' ') ++at; };
    Value value;
    blanks();
    char first = at < line.size() ? line[at] : ' ';
    if (first == '{' || first == '[') {
        value.kind = first == '{' ? Value::MAP : Value::LIST;
        const char last = first == '{' ? '}' : ']';
        for (++at, blanks(); line.at(at) != last; blanks()) {
            if (line[at] == ',') { ++at; continue; }
            Value item = parse(line, at);
            if (value.kind == Value::LIST) { value.items.push_back(item); continue; }
            blanks();
            if (line.at(at++) != ':') throw std::runtime_error("no colon in: " + line);
            value.entries.emplace_back(item.text, parse(line, at));
        }
        ++at;
    } else if (first == '"') {
        value.kind = Value::QUOTED;
        for (++at; line.at(at) != '"'; ++at) {
            if (line[at] == '\\') ++at;  // \uXXXX stays as it is: nothing here depends on such a letter
            value.text += line.at(at);
        }
        ++at;
    } else {
        while (at < line.size() && !std::strchr(",]}", line[at]) && !(line[at] == ':' && (at + 1 == line.size() || line[at + 1] == ' ')))
            value.text += line[at++];
    }
    return value;
}

void check_format(const string& line, const fs::path& file) {
    if (line.rfind("format:", 0) == 0 && line != "format: 2") throw std::runtime_error(file.string() + ": " + line + " is unknown");
}

using Case = std::map<string, Value>;

// A case starts at "- id:", its keys stand at two blanks, and the items of a list after "  - ".
vector<Case> read_cases(const fs::path& file) {
    std::ifstream in(file);
    vector<Case> cases;
    string key;
    for (string line; std::getline(in, line);) {
        check_format(line, file);
        if (line.rfind("- id:", 0) == 0) cases.emplace_back();
        if (cases.empty()) continue;  // what stands above the cases
        size_t at = 4;
        if (line.rfind("  - ", 0) == 0) { cases.back()[key].items.push_back(parse(line, at)); continue; }
        const size_t colon = line.find(':');
        key = line.substr(2, colon - 2);
        Value& value = cases.back()[key] = parse(line, at = colon + 1);
        if (at == colon + 1) value.kind = Value::LIST;  // its items follow
    }
    return cases;
}

using Roles = std::map<string, Value>;  // dialect -> {own name: role, or a list of the roles of its items}

// What each dialect's hyper-parameters are, from MANIFEST.yaml.
Roles read_roles(const fs::path& directory) {
    const fs::path file = directory / "MANIFEST.yaml";
    std::ifstream in(file);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    Roles roles;
    bool inside = false;
    for (string line; std::getline(in, line);) {
        check_format(line, file);
        if (line.rfind("  ", 0) != 0) { inside = line == "roles:"; continue; }
        if (!inside) continue;
        const size_t colon = line.find(':');
        size_t at = colon + 1;
        roles[line.substr(2, colon - 2)] = parse(line, at);
    }
    return roles;
}

// The number that has a role in a group, whatever its dialect calls it: `lr` is lr, learning_rate, R; `beta1` is the first of betas.
double by_role(const Value& group, const Value& roles, const string& role) {
    for (const auto& [name, own] : roles.entries) {
        if (own.kind == Value::WORD && own.text == role) return group.at(name).number();
        for (size_t k = 0; k < own.items.size(); ++k) {
            if (own.items[k].text != role) continue;
            const vector<Value>& items = group.at(name).items;
            if (items.size() != own.items.size()) throw Refused(name + " must be " + std::to_string(own.items.size()) + " numbers");
            return items[k].number();
        }
    }
    throw std::runtime_error("no hyper-parameter is " + role);
}

// ---- NPZ: a zip of NPY files -------------------------------------------------------------------------------------

struct Array {
    string dtype;  // "<f4"
    vector<size_t> shape;
    vector<char> bytes;

    template <class T> vector<T> as() const {
        const string wanted = (std::is_integral_v<T> ? "<i" : "<f") + std::to_string(sizeof(T));
        if (dtype != wanted) throw Unsupported("dtype " + dtype + " where " + wanted + " is expected");
        vector<T> values(bytes.size() / sizeof(T));
        std::copy_n(bytes.data(), values.size() * sizeof(T), reinterpret_cast<char*>(values.data()));
        return values;
    }
};

using Arrays = std::map<string, Array>;

vector<int64_t> row_numbers(const Array& array) {
    if (array.dtype == "<i8") return array.as<int64_t>();
    const vector<int32_t> narrow = array.as<int32_t>();
    return {narrow.begin(), narrow.end()};
}

template <class T> T load(const vector<char>& from, size_t at) {
    T value;
    if (at + sizeof(T) > from.size()) throw std::runtime_error("a truncated file");
    std::memcpy(&value, from.data() + at, sizeof(T));
    return value;
}

template <class T> void save(vector<char>& to, T value) {
    const char* bytes = reinterpret_cast<const char*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof(T));
}

template <class Bytes> void join(vector<char>& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

Array read_npy(const vector<char>& npy) {
    const size_t start = 10 + load<uint16_t>(npy, 8);
    const string header(npy.begin() + 10, npy.begin() + start);
    const size_t type = header.find("'descr': '") + 10, shape = header.find("'shape': (") + 10;
    Array array{header.substr(type, header.find('\'', type) - type), {}, {npy.begin() + start, npy.end()}};
    for (const char* at = header.c_str() + shape; *at != ')';) {
        char* end;
        array.shape.push_back(std::strtoull(at, &end, 10));
        at = end + std::strspn(end, ", ");
    }
    return array;
}

Arrays read_npz(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    const vector<char> zip{std::istreambuf_iterator<char>(in), {}};
    if (zip.size() < 22) throw std::runtime_error(file.string() + ": truncated");
    size_t end = zip.size() - 22;  // the end record; a comment may follow it
    while (load<uint32_t>(zip, end) != 0x06054b50)
        if (end-- == 0) throw std::runtime_error(file.string() + ": truncated");
    Arrays arrays;
    size_t at = load<uint32_t>(zip, end + 16);
    for (size_t left = load<uint16_t>(zip, end + 10); left > 0; --left) {
        const auto method = load<uint16_t>(zip, at + 10), name = load<uint16_t>(zip, at + 28);
        const auto packed = load<uint32_t>(zip, at + 20), size = load<uint32_t>(zip, at + 24), local = load<uint32_t>(zip, at + 42);
        const size_t data = local + 30 + load<uint16_t>(zip, local + 26) + load<uint16_t>(zip, local + 28);
        if (data + packed > zip.size()) throw std::runtime_error(file.string() + ": truncated");
        vector<char> npy(zip.begin() + data, zip.begin() + data + packed);
        if (method == 8) {
            npy.resize(size);
            z_stream stream{};
            stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zip.data() + data));
            stream.avail_in = packed;
            stream.next_out = reinterpret_cast<Bytef*>(npy.data());
            stream.avail_out = size;
            inflateInit2(&stream, -MAX_WBITS);  // negative: without a zlib header
            const int result = inflate(&stream, Z_FINISH);
            inflateEnd(&stream);
            if (result != Z_STREAM_END || stream.avail_out) throw std::runtime_error(file.string() + ": a damaged member");
        }
        arrays[string(zip.begin() + at + 46, zip.begin() + at + 46 + name - 4)] = read_npy(npy);  // without ".npy"
        at += 46 + name + load<uint16_t>(zip, at + 30) + load<uint16_t>(zip, at + 32);
    }
    return arrays;
}

void write_npz(const fs::path& file, const Arrays& arrays) {
    vector<char> zip, directory;
    for (const auto& [name, array] : arrays) {
        string shape;
        for (size_t n : array.shape) shape += std::to_string(n) + ", ";
        string header = "{'descr': '" + array.dtype + "', 'fortran_order': False, 'shape': (" + shape + "), }";
        header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
        header += '\n';
        vector<char> npy{'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
        save<uint16_t>(npy, header.size());
        join(npy, header);
        join(npy, array.bytes);
        const string path = name + ".npy";
        vector<char> common;  // what the local header and the directory share: stored, dated 1 January 1980
        for (int field : {20, 0, 0, 0, 0x21}) save<uint16_t>(common, field);
        save<uint32_t>(common, crc32(0, reinterpret_cast<const Bytef*>(npy.data()), npy.size()));
        for (int twice = 0; twice < 2; ++twice) save<uint32_t>(common, npy.size());
        for (size_t field : {path.size(), size_t{0}}) save<uint16_t>(common, field);
        save<uint32_t>(directory, 0x02014b50);
        save<uint16_t>(directory, 20);
        join(directory, common);
        directory.insert(directory.end(), 10, 0);
        save<uint32_t>(directory, zip.size());
        join(directory, path);
        save<uint32_t>(zip, 0x04034b50);
        join(zip, common);
        join(zip, path);
        join(zip, npy);
    }
    vector<char> end;
    save<uint32_t>(end, 0x06054b50);
    for (size_t field : {size_t{0}, size_t{0}, arrays.size(), arrays.size()}) save<uint16_t>(end, field);
    save<uint32_t>(end, directory.size());
    save<uint32_t>(end, zip.size());
    save<uint16_t>(end, 0);
    fs::create_directories(file.parent_path());
    std::ofstream out(file, std::ios::binary);
    for (const vector<char>* part : {&zip, &directory, &end}) out.write(part->data(), part->size());
    if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

// A message as an array without dimensions: NPY keeps strings in UTF-32.
Array message(const string& text) {
    Array array{"<U" + std::to_string(text.size()), {}, {}};
    for (unsigned char letter : text) save<uint32_t>(array.bytes, letter < 128 ? letter : '?');
    return array;
}
