/** Whether a text holds a key or a certificate, in PEM or as PEM in Base64: it may be a secret, so no message may show it. */
export function hasPem(text: string): boolean {
	return /-----BEGIN |LS0tLS1CRUdJTi/.test(text);
}
