import type { Certificate } from "@shardcast/config";
import type { ReadMetric } from "@shardcast/telemetry";
import { counter, gauge, singleBy } from "@shardcast/telemetry";
import type { CertificateReloads } from "../certificate-watch.ts";

interface TlsReading {
	readonly certificates: readonly Pick<Certificate, "path" | "expiresMs">[];
	readonly reloads: Readonly<CertificateReloads>;
}

export const tlsMetrics: readonly ReadMetric<TlsReading>[] = [
	gauge(
		"shardcast_tls_certificate_expiry_timestamp_seconds",
		"seconds",
		"When a TLS certificate that is in use expires, in seconds since 1970.",
		singleBy("certificate", ({ certificates }) => Object.fromEntries(certificates.map(({ path, expiresMs }) => [path, expiresMs / 1000]))),
	),
	counter(
		"shardcast_tls_reloads_total",
		"none",
		"New TLS certificates, by SIGHUP or because their files changed; rejected = they could not be used, the old ones stay.",
		singleBy("result", ({ reloads }) => ({ ...reloads })),
	),
];
