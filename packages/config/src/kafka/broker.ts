import { isIPv4 } from "node:net";

/**
 * `kafka-1:9092`, as it is.
 * @throws RangeError with the rest of the sentence that begins with the list.
 */
export function parseBroker(text: string): string {
	if (/^\[.*\]:\d+$/.test(text))
		throw new RangeError(`has the IPv6 address ${text}, which can't be used here; name the broker by its host name`);
	const [, host, digits] = /^([\w.-]*)(?::(\d+))?$/.exec(text) ?? [];
	if (host === undefined) throw new RangeError(`has ${text}, which is not a host and port; write, for example, kafka-1:9092`);
	if (host === "") throw new RangeError(`has a broker without a host, ${text}; write, for example, kafka-1:9092`);
	if (digits === undefined) throw new RangeError(`has a broker without a port, ${text}; write ${text}:9092`);
	const port = Number(digits);
	if (port < 1 || port > 65_535) throw new RangeError(`has the port ${digits} in ${text}; ports go from 1 to 65535`);
	if (/^[\d.]+$/.test(host) && !isIPv4(host)) throw new RangeError(`has ${text}, whose host is no IPv4 address; correct it`);
	return text;
}
