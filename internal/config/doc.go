// Package config is what an operator may set: one table of options, each of
// which a TOML file, a SELVAGE_* variable and a flag of "selvage up" can set,
// the later of these overriding the earlier.
//
// Invariants:
//   - The names follow from the key: "limits.body_size" is SELVAGE_LIMITS_BODY_SIZE
//     and --limits-body-size.
//   - A value that Load returns is valid; what is not is an error that names the
//     option, where the value stands, the value and what is valid.
//   - An unknown key is an error with file and line.
//   - Without --config or SELVAGE_CONFIG no file is read.
package config
