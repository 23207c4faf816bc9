// An internal module of the extension: a wrapped binding that stands in for a
// service binding, the inner "fetcher".
import { stub } from "selvage-internal:calls";

export default ({ fetcher, local }) => stub(fetcher, local);
