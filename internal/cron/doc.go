// Package cron reads the expressions that say when a worker's scheduled handler
// runs, and runs a set of them: [Parse] and [Expr.Next] for one expression,
// [Scheduler] for any number.
//
// # The language
//
// Five fields, in UTC: minute, hour, day of month, month, day of week. It is
// Quartz's without seconds, as the platform that workers were written for takes
// it, not Unix's: days of the week are 1 (Sunday) to 7 (Saturday).
//
//   - every value
//     a,b      a list of what follows
//     a-b      a range; it goes round the end when b is less than a ("FRI-MON")
//     a/n      every n-th value from a on; */n from the field's first value on
//     a-b/n    every n-th value of a range
//     JAN MON  names of months and days of the week, in any case
//     L        day of month: the last one; day of week: Saturday
//     L-n      the n-th day before the last one
//     nW LW    the weekday (Monday to Friday) nearest to day n, to the last day,
//     L-nW     or to the n-th before it, within the month
//     nL       the last such day of the week of the month ("6L": the last Friday)
//     n#k      the k-th such day of the week of the month
//
// The forms with L, W and # stand alone in their field. When both day of month and
// day of week say something, a day that either of them names counts.
//
// # Invariants
//
//   - Next is the first minute after its argument that Matches (property test
//     against a walk minute by minute).
//   - An expression that names no minute at all, such as 31 November, is refused.
//   - A Scheduler runs a tick at most once, whatever the clock does, and only
//     after its owner's claim of that tick was granted.
//   - A Scheduler has one timer and one goroutine, however many expressions.
package cron
