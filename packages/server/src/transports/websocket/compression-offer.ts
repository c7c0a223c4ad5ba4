const params: ReadonlyMap<string, RegExp> = new Map([
	["client_no_context_takeover", /^$/],
	["server_no_context_takeover", /^$/],
	["client_max_window_bits", /^(?:[89]|1[0-5])?$/],
	// A smaller window would have to be kept, and the library's is always this large.
	["server_max_window_bits", /^15$/],
]);

/**
 * What the library is told of the extensions that a client offers: "permessage-deflate" if it offers this in a way that can be kept (RFC 7692,
 * section 7.1), otherwise nothing. The library itself accepts any parameters, and an older extension that works differently.
 */
export function compressionOffer(extensions: string): string {
	if (!extensions.includes("permessage-deflate")) return "";
	return extensions.split(",").some(isAcceptable) ? "permessage-deflate" : "";
}

function isAcceptable(offer: string): boolean {
	const [name, ...given] = offer.split(";").map((part) => part.trim());
	if (name !== "permessage-deflate") return false;
	const seen = new Set<string>();
	return given.every((each) => {
		const [, key = "", value = ""] = /^([a-z_]+)(?:\s*=\s*"?(\d+)"?)?$/.exec(each) ?? [];
		if (seen.has(key)) return false;
		seen.add(key);
		return params.get(key)?.test(value) === true;
	});
}
