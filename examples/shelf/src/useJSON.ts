import { useEffect, useState } from "react";

export type Loaded<T> = { state: "loading" } | { state: "failed"; why: string } | { state: "there"; value: T };

export function useJSON<T>(url: string): Loaded<T> {
  const [loaded, set] = useState<Loaded<T>>({ state: "loading" });
  useEffect(() => {
    const gone = new AbortController();
    set({ state: "loading" });
    fetch(url, { signal: gone.signal })
      .then(async (res) => {
        if (!res.ok) throw new Error(await res.text());
        set({ state: "there", value: await res.json() });
      })
      .catch((e: Error) => {
        if (!gone.signal.aborted) set({ state: "failed", why: e.message });
      });
    return () => gone.abort();
  }, [url]);
  return loaded;
}
