// An optimizer in C++ that is checked against golden vectors: torch.SparseAdam for float32 and float64.
//
//   g++ -O2 -std=c++17 -o example_backend example_backend.cpp -lz
//   ./example_backend VECTORS_DIR RESULTS_DIR
//
// From top to bottom: the optimizer (put yours here), a case, the files.

#include "vectors.hpp"

#include <iostream>

// ---- The optimizer ------------------------------------------------------------------------------------------------

struct Hyper {
    double lr, beta1, beta2, eps;
    bool maximize;

    Hyper(const Value& group, const Value& roles)
        : lr(by_role(group, roles, "lr")), beta1(by_role(group, roles, "beta1")), beta2(by_role(group, roles, "beta2")),
          eps(by_role(group, roles, "eps")), maximize(group.at("maximize").text == "true") {
        if (!(lr > 0 && lr < INFINITY)) throw Refused("Invalid learning rate");
        if (!(eps > 0 && eps < INFINITY)) throw Refused("Invalid epsilon value");
        for (double beta : {beta1, beta2})
            if (!(beta >= 0 && beta < 1)) throw Refused("Invalid beta parameter");
    }
};

template <class T> struct Table {
    string name;
    vector<size_t> shape;
    size_t group, steps;
    vector<T> p, m, v;

    void step(const vector<int64_t>& indices, const vector<T>& values, const Hyper& h) {
        const size_t rows = shape.empty() ? 1 : shape[0], width = rows ? p.size() / rows : 0;
        std::map<int64_t, vector<T>> merged;  // duplicates are summed before the update
        for (size_t k = 0; k < indices.size(); ++k) {
            if (indices[k] < 0 || indices[k] >= static_cast<int64_t>(rows)) throw Refused("index out of range");
            vector<T>& sum = merged.try_emplace(indices[k], width).first->second;
            for (size_t j = 0; j < width; ++j) sum[j] += values[k * width + j];
        }
        ++steps;  // of this parameter; a gradient without rows counts, too
        const double t = static_cast<double>(steps);
        const T step_size = T(h.lr * std::sqrt(1 - std::pow(h.beta2, t)) / (1 - std::pow(h.beta1, t)));
        const T beta1 = T(h.beta1), beta2 = T(h.beta2), rest1 = T(1 - h.beta1), rest2 = T(1 - h.beta2), eps = T(h.eps);
        for (const auto& [row, sum] : merged)  // rows that are not stored keep their moments
            for (size_t j = 0; j < width; ++j) {
                const size_t i = row * width + j;
                const T g = h.maximize ? -sum[j] : sum[j];
                m[i] = beta1 * m[i] + rest1 * g;
                v[i] = beta2 * v[i] + rest2 * (g * g);
                p[i] -= step_size * m[i] / (std::sqrt(v[i]) + eps);
            }
    }
};

// ---- A case --------------------------------------------------------------------------------------------------------

template <class T> void append(Array& results, const vector<T>& values, const vector<size_t>& shape) {
    const size_t recorded = results.shape.empty() ? 1 : results.shape[0] + 1;
    results.dtype = "<f" + std::to_string(sizeof(T));
    results.shape = shape;
    results.shape.insert(results.shape.begin(), recorded);
    for (T value : values) save(results.bytes, value);
}

// Only the YAML tells bfloat16, which lies in the file as float32.
template <class T> void check_dtypes(const Value& param) {
    const string mine = sizeof(T) == 4 ? "float32" : "float64";
    const Value *own = param.find("dtype"), *of_state = param.find("dtypes");
    if (own && own->text != mine) throw Unsupported("parameters of several dtypes");
    for (size_t k = 0; of_state && k < of_state->entries.size(); ++k)
        if (of_state->entries[k].second.text != mine) throw Unsupported("a state in another dtype than its parameter");
}

template <class T> vector<Table<T>> start(const Case& one, const string& slug, const Arrays& arrays) {
    vector<Table<T>> tables;
    for (const Value& param : one.at("params").items) {
        check_dtypes<T>(param);
        const string& name = param.at("name").text;
        const Value *group = param.find("group"), *steps = param.find("step");
        const vector<T> p = arrays.at(slug + "/param." + name).as<T>(), zeros(p.size());
        tables.push_back({name, param.at("shape").counts(), group ? group->count() : 0, steps ? steps->count() : 0, p, zeros, zeros});
        if (!param.find("moments")) continue;
        tables.back().m = arrays.at(slug + "/exp_avg." + name).as<T>();
        tables.back().v = arrays.at(slug + "/exp_avg_sq." + name).as<T>();
    }
    return tables;
}

template <class T> void step(Table<T>& table, const Value& form, const Hyper& hyper, const string& gradient, const Arrays& arrays) {
    if (form.text == "none") return;
    if (form.kind == Value::MAP) throw Refused("the gradient does not fit its parameter");
    if (form.text == "dense") throw Refused("SparseAdam does not support dense gradients");
    if (form.text != "rows") throw Unsupported("gradients by " + form.text);
    table.step(row_numbers(arrays.at(gradient + ".indices")), arrays.at(gradient + ".values").as<T>(), hyper);
}

void change(Value& group, const Value& changes) {
    for (const auto& [key, value] : changes.entries)
        for (auto& [name, old] : group.entries)
            if (name == key) old = value;
}

template <class T> Arrays run(const Case& one, const Value& roles, const string& slug, const Arrays& arrays) {
    Arrays results;
    vector<Value> groups = one.at("groups").items;
    for (const Value& group : groups) Hyper check(group, roles);
    vector<Table<T>> tables = start<T>(one, slug, arrays);
    const vector<size_t> record = one.at("record").counts();
    size_t t = 0;
    for (const Value& line : one.at("steps").items) {
        if (line.find("ranks")) throw Unsupported("gradients of several ranks");
        if (line.find("batches")) throw Unsupported("gradients of several micro-batches");
        const Value *repeat = line.find("repeat"), *changes = line.find("hyper");
        for (size_t k = 0; changes && k < groups.size(); ++k) change(groups[k], changes->items.at(k));
        for (size_t left = repeat ? repeat->count() : 1; left > 0; --left) {
            const string prefix = slug + "/grad." + std::to_string(++t) + ".";
            const bool recorded = std::count(record.begin(), record.end(), t);
            for (Table<T>& table : tables) {
                step(table, line.at("gradients").at(table.name), Hyper(groups.at(table.group), roles), prefix + table.name, arrays);
                if (!recorded) continue;
                append(results[slug + "/param." + table.name], table.p, table.shape);
                append(results[slug + "/exp_avg." + table.name], table.m, table.shape);
                append(results[slug + "/exp_avg_sq." + table.name], table.v, table.shape);
            }
        }
    }
    return results;
}

// ---- The files -----------------------------------------------------------------------------------------------------

Arrays run_case(const Case& one, const string& dialect, const Roles& roles, const string& slug, const Arrays& arrays) {
    const string& dtype = one.at("dtype").text;
    try {
        if (dialect != "torch.SparseAdam") throw Unsupported("dialect " + dialect);
        if (dtype == "float32") return run<float>(one, roles.at(dialect), slug, arrays);
        if (dtype == "float64") return run<double>(one, roles.at(dialect), slug, arrays);
        throw Unsupported("dtype " + dtype);
    } catch (const Refused& error) {
        return {{slug + "/error", message(error.what())}};
    } catch (const Unsupported& reason) {
        return {{slug + "/unsupported", message(reason.what())}};
    }
}

int main(int count, char** arguments) try {
    if (count != 3) {
        std::cerr << "usage: " << arguments[0] << " VECTORS_DIR RESULTS_DIR\n";
        return 2;
    }
    const fs::path vectors = arguments[1], out = arguments[2];
    const Roles roles = read_roles(vectors);
    for (const auto& entry : fs::recursive_directory_iterator(vectors)) {
        const fs::path file = entry.path(), relative = file.lexically_relative(vectors);
        if (file.extension() != ".yaml" || !relative.has_parent_path()) continue;  // the manifest has no folder
        const Arrays arrays = read_npz(fs::path(file).replace_extension(".npz"));
        Arrays results;
        for (const Case& one : read_cases(file)) {
            const string& id = one.at("id").text;
            results.merge(run_case(one, relative.parent_path().string(), roles, id.substr(id.rfind('/') + 1), arrays));
        }
        write_npz(out / fs::path(relative).replace_extension(".npz"), results);
    }
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 3;
}
