import { readPemFile } from "./pem-file.ts";

const begin = "-----BEGIN";

/**
 * The PEM that an option gives: as it is, in Base64, or as the path of a file with it. A problem is the rest of a sentence about the option. It never
 * quotes the value: a private key in some other form would be taken for a path, and stand in logs.
 */
export function readPemValue(value: string): { readonly text: string } | { readonly problem: string } {
	if (value.includes(begin)) return { text: value };
	const decoded = /^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(value) ? Buffer.from(value, "base64").toString("latin1") : "";
	if (decoded.includes(begin)) return { text: decoded };
	const file = readPemFile(value);
	return "text" in file ? file : { problem: `is not PEM, and the file that it names ${file.problem}` };
}
