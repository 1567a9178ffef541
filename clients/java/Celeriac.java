import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Opens channels to a gateway of Celeriac, for the stubs that generate.sh makes. */
public final class Celeriac {
  /** The gateway's own limit of most methods. Give longer ones a deadline: stub.withDeadlineAfter(…). */
  static final int UNARY_SECONDS = 15;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private Celeriac() {}

  /**
   * Returns a channel to the gateway at target ("gw:8443"), whose certificate the authority in the PEM file ca has
   * signed. The token is asked for before each call, so that it can give a renewed one. No call is repeated:
   * docs/gateway.md lists the methods that may be repeated after UNAVAILABLE, and under which request_id.
   */
  public static ManagedChannel connect(String target, File ca, Supplier<String> token) throws IOException {
    return Grpc.newChannelBuilder(target, TlsChannelCredentials.newBuilder().trustManager(ca).build())
        .intercept(new Calls(new Bearer(token)))
        .keepAliveTime(30, TimeUnit.SECONDS)
        .disableRetry()
        .build();
  }

  private record Calls(CallCredentials credentials) implements ClientInterceptor {
    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      boolean isUnary = method.getType() == MethodDescriptor.MethodType.UNARY;
      CallOptions limited = isUnary && options.getDeadline() == null
          ? options.withDeadlineAfter(UNARY_SECONDS, TimeUnit.SECONDS)
          : options;
      return next.newCall(method, limited.withCallCredentials(credentials));
    }
  }

  private static final class Bearer extends CallCredentials {
    private final Supplier<String> token;

    Bearer(Supplier<String> token) {
      this.token = token;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      executor.execute(() -> {
        Metadata headers = new Metadata();
        headers.put(AUTHORIZATION, "Bearer " + token.get());
        applier.apply(headers);
      });
    }

    @Override
    public void thisUsesUnstableApi() {}
  }
}
