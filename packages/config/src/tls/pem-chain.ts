import { X509Certificate } from "node:crypto";

const block = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const derStart = "\x30";

/** The certificates in the text; or what is wrong with them, as the rest of a sentence. */
export function readChain(text: string): { readonly pem: string; readonly certificates: readonly X509Certificate[] } | string {
	const blocks = text.match(block) ?? [];
	const begun = text.split("-----BEGIN CERTIFICATE-----").length - 1;
	if (begun > blocks.length) return "ends in the middle of a certificate";
	if (text.startsWith(derStart)) return "is in DER, not in PEM; convert it with openssl x509 -inform der";
	if (blocks.length === 0)
		return text.includes("PRIVATE KEY-----")
			? "has a private key and no certificate; have the two files been swapped?"
			: "has no certificate in PEM (-----BEGIN CERTIFICATE-----)";
	const certificates: X509Certificate[] = [];
	for (const [index, each] of blocks.entries()) {
		try {
			certificates.push(new X509Certificate(each));
		} catch (error) {
			return `has a certificate that can't be read, number ${index + 1} of ${blocks.length}: ${(error as Error).message}`;
		}
	}
	return { pem: `${blocks.join("\n")}\n`, certificates };
}
