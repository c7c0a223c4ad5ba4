/** Whether a name matches a pattern, in which `*` matches any text and `?` one character. Costs at most the product of their lengths. */
export function globMatches(pattern: string, name: string): boolean {
	let at = 0;
	let place = 0;
	/** Position after the last `*`, and the end of what it matches so far. */
	let star = -1;
	let resume = 0;
	while (place < name.length) {
		const sign = pattern[at];
		if (sign === "*") {
			star = ++at;
			resume = place;
		} else if (sign !== undefined && (sign === "?" || sign === name[place])) {
			at++;
			place++;
		} else if (star >= 0) {
			at = star;
			place = ++resume;
		} else return false;
	}
	while (pattern[at] === "*") at++;
	return at === pattern.length;
}
