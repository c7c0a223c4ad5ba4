/**
 * The values of all lines of a header, in order and joined by commas; "" when there are none. For the few requests where the balancer needs
 * more than its parser stores.
 * @param headBytes length of the valid head at the start of `bytes`. @param name in lower case.
 */
export function headerLines(bytes: Buffer, headBytes: number, name: string): string {
	const values: string[] = [];
	for (const line of bytes.toString("latin1", 0, headBytes).split("\r\n").slice(1)) {
		const colon = line.indexOf(":");
		if (colon === name.length && line.slice(0, colon).toLowerCase() === name) values.push(line.slice(colon + 1));
	}
	return values.join(",");
}
