const deadline = 2000; // milliseconds

// ask gets JSON from the API; null means that there is no such thing. It throws when
// the API does not answer in time or not with what was asked for.
export async function ask(env, path) {
  const response = await fetch(`${env.API_URL}/api/research/${path}`, {
    headers: { Authorization: `Bearer ${env.API_TOKEN}` },
    signal: AbortSignal.timeout(deadline),
  });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the API answered ${response.status}`);
  return response.json();
}
