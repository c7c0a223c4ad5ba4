import { hostPortText } from "../url-parts.ts";
import { parseAddress } from "./address.ts";

/**
 * "127.0.0.1:9001", "camera.example.com:9001" or "[::1]:9001": where a backend of the gateway listens.
 * @returns the same, in one spelling. @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseBackendAddress(item: string): string {
	const { host, port } = parseAddress(item, 9001);
	if (host === undefined || port === 0) throw new RangeError("has no host and port of a backend; write 127.0.0.1:9001");
	return hostPortText({ host, port });
}
