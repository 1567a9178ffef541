import celeriac.scheduler.v1.ScheduleServiceGrpc;
import celeriac.scheduler.v1.Schedules.GetScheduleRequest;
import celeriac.scheduler.v1.Schedules.ListSchedulesRequest;
import celeriac.scheduler.v1.Schedules.ListSchedulesResponse;
import celeriac.scheduler.v1.Schedules.Schedule;
import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.time.Instant;

/**
 * Lists the schedules, page after page, and shows what a refusal says: CELERIAC_TARGET, CELERIAC_TOKEN and CELERIAC_CA
 * say of which system.
 */
public final class Example {
  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel = Celeriac.connect(
        System.getenv("CELERIAC_TARGET"),
        new File(System.getenv("CELERIAC_CA")),
        () -> System.getenv("CELERIAC_TOKEN"));
    var schedules = ScheduleServiceGrpc.newBlockingStub(channel);

    String token = "";
    do {
      ListSchedulesResponse page = schedules.listSchedules(
          ListSchedulesRequest.newBuilder().setPageSize(2).setPageToken(token).build());
      page.getSchedulesList().stream()
          .filter(Schedule::hasNextRunTime)
          .map(schedule -> schedule.getName() + " " + Instant.ofEpochSecond(schedule.getNextRunTime().getSeconds()))
          .forEach(System.out::println);
      token = page.getNextPageToken();
    } while (!token.isEmpty());

    try {
      schedules.getSchedule(GetScheduleRequest.newBuilder().setName("schedules/nowhere").build());
    } catch (StatusRuntimeException refused) {
      for (Any detail : StatusProto.fromThrowable(refused).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          System.out.println("refused: " + detail.unpack(ErrorInfo.class).getReason());
        }
      }
    }
    channel.shutdown();
  }
}
