/** Where the balancer looks for the id by which clients belong together, in the head of a request. */
export type AffinitySource = { readonly in: "query" | "cookie" | "header"; readonly name: string } | { readonly in: "token" };

const nameCharactersMax = 64;

/** "token", "query:user", "cookie:sid" or "header:x-user". @throws RangeError whose message completes the sentence `"<text>" …`. */
export function parseAffinitySource(text: string): AffinitySource {
	if (text === "token") return { in: "token" };
	const [, where, name = ""] = /^(query|cookie|header):(.*)$/.exec(text) ?? [];
	if (where === undefined)
		throw new RangeError(`has "${text}", which is no place in a request; write token, query:<name>, cookie:<name> or header:<name>`);
	if (!/^[-!#$%&'*+.^_`|~\w]+$/.test(name) || name.length > nameCharactersMax)
		throw new RangeError(`has "${text}", without a name of 1 to ${nameCharactersMax} letters, digits and dashes after "${where}:"`);
	return where === "header" ? { in: where, name: name.toLowerCase() } : { in: where as "query" | "cookie", name };
}

/** The same, as text. */
export function affinitySourceText(item: string): string {
	parseAffinitySource(item);
	return item;
}
