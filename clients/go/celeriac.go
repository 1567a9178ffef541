// Package celeriac opens connections to a gateway of Celeriac, for the stubs that generate.sh makes.
package celeriac

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// UnaryDeadline is the gateway's own limit of most methods. Give longer ones a context with a deadline.
const UnaryDeadline = 15 * time.Second

// Token is asked for before each call, so that it can give a renewed token.
type Token func() (string, error)

// Connect returns a connection to the gateway at target ("gw:8443"), whose certificate the authority in the PEM file
// ca has signed. Nothing is sent before the first call. It repeats no call by itself: docs/gateway.md lists the
// methods that may be repeated after UNAVAILABLE, and under which request_id.
func Connect(target, ca string, token Token) (*grpc.ClientConn, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("the authority's file can't be read: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate; it has to be a PEM file, such as .celeriac/ca.pem", ca)
	}
	return grpc.Dial(target,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(authorities, "")),
		grpc.WithPerRPCCredentials(token),
		grpc.WithUnaryInterceptor(withDeadline),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second}))
}

// GetRequestMetadata makes a Token what grpc calls credentials of a call.
func (token Token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	found, err := token()
	return map[string]string{"authorization": "Bearer " + found}, err
}

// RequireTransportSecurity says that a token is never sent without TLS.
func (Token) RequireTransportSecurity() bool { return true }

func withDeadline(ctx context.Context, method string, request, answer any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		limited, cancel := context.WithTimeout(ctx, UnaryDeadline)
		defer cancel()
		ctx = limited
	}
	return invoke(ctx, method, request, answer, connection, options...)
}
