import { isIPv6 } from "node:net";

/** @param hint ends the message about a missing host. @throws RangeError with the rest of the sentence that begins with the option. */
export function parseHostPort(text: string, defaultPort: number, hint: string): { readonly host: string; readonly port: number } {
	const [, six, name, digits = String(defaultPort)] = /^(?:\[([^\]]*)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
	const host = six ?? name;
	if (host === undefined || (six !== undefined && !isIPv6(six))) throw new RangeError(`has no host; ${hint}`);
	const port = Number(digits);
	if (port < 1 || port > 65_535) throw new RangeError(`has the port ${digits}; ports go from 1 to 65535`);
	return { host, port };
}

/** With the brackets of an IPv6 address. */
export function hostPortText({ host, port }: { readonly host: string; readonly port: number }): string {
	return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
