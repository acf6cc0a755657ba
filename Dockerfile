# syntax=docker/dockerfile:1
# A static binary, the certificate authorities, and nothing else: no shell, no package manager, no root.
# For all platforms: docker buildx build --platform linux/amd64,linux/arm64 .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY main.go ./
COPY app ./app
COPY db ./db
COPY internal ./internal
COPY modules ./modules
ARG TARGETOS TARGETARCH VERSION=dev COMMIT=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X aiagents/app.buildVersion=$VERSION -X aiagents/app.buildCommit=$COMMIT" \
    -o /out/usr/local/bin/aiagents . \
 && mkdir -p /out/tmp /out/var/lib/aiagents \
 && chmod 1777 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/var/lib/aiagents /var/lib/aiagents
COPY --from=build /out/tmp /tmp
COPY --from=build /out/usr/local/bin/aiagents /usr/local/bin/aiagents
# The variable lets `kubectl exec … -- aiagents` find the program.
ENV PATH=/usr/local/bin
USER 65532:65532
EXPOSE 8000 8081
ENTRYPOINT ["/usr/local/bin/aiagents"]
CMD ["all"]
