// Package pages owns sites: projects, their deployments, and which deployment
// answers on which host.
//
//	<project>.pages.<domain>            the deployment that is in production
//	<8 hex digits>.<project>.pages.…    one deployment, for as long as it is kept
//	<branch>.<project>.pages.…          the latest deployment of a branch
//
// A deployment goes through these states; there is no way back:
//
//	uploaded ──(its site is built, its Functions answer)──▶ succeeded ──▶ deleted
//	    └────(anything of it is refused)──▶ failed ──▶ deleted
//
// Invariants:
//   - A deployment is immutable, with the variables and secrets it was made with.
//     To change a project changes what is deployed after that.
//   - Which deployment is in production is one column of one row. It changes in
//     the transaction that saves the deployment, after the site was built and
//     its Functions answered; a request sees the old site or the new one.
//   - Contents are kept by their SHA-256, shared by all projects of the account
//     and by the static assets of Workers. What wrangler calls a content by is
//     its word until the platform has computed it: a content that was not
//     verified is never given to another project.
//   - Whatever a client was told to be there is young: the sweep that removes
//     contents which nothing refers to lets it live for the grace time.
//   - What a deployment has is written down, in the transaction that saves it, as what
//     changed since the one before. The sweep goes by that, so its cost does not
//     grow with deployments times files.
//   - Secrets are sealed in every row, and no answer has them.
//
// Functions are versions of the workers service, which this package does not
// know: it asks for them through [Functions].
package pages
